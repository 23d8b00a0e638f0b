// Translation only: JSON to settings and requests by the code of the command line and of OpenAI's
// door, calls to the engine, facts back to JSON.
#include "bindings/common/engine_door.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/thread_annotations.h"
#include "bindings/common/backend.h"
#include "bindings/common/door_options.h"
#include "bindings/common/event_hub.h"
#include "bindings/common/forked.h"
#include "cli/setting_flags.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

Call read_call(const Engine& engine, std::string_view request_json) {
  json::object body = parse_object(request_json);
  const ApiModel model = make_api_model(engine.model(), {});
  if (body.contains("messages")) return parse_chat_object(std::move(body), model);
  return parse_completion_object(std::move(body), model);
}

Prompt read_prompt(const Engine& engine, std::string_view request_json) {
  Call call = read_call(engine, request_json);
  if (call.requests.size() != 1)
    throw Error(ErrorCode::invalid_value, "prompt must be one prompt here", "prompt");
  return std::move(call.requests.front().prompt);
}

// A host process must survive whatever a model does to this one's memory.
std::unique_ptr<Engine> open_guarded(const EngineConfig& config, const LoadProgress& progress) {
  try {
    return open_backend(config, progress);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(
        ErrorCode::engine_error,
        "there is not enough memory for this model; take a smaller one, or lower kv_memory"
    );
  } catch (const std::exception& error) {
    throw Error(
        ErrorCode::engine_error, std::string("the model could not be loaded: ") + error.what()
    );
  }
}

}  // namespace

std::string_view error_name(ErrorCode code) { return error_code_info(code).name; }

std::vector<std::string_view> error_names() {
  std::vector<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::io_error); ++code)
    names.push_back(error_name(static_cast<ErrorCode>(code)));
  return names;
}

std::unique_ptr<EngineDoor> EngineDoor::open(
    std::string_view options_json, const LoadProgress& progress
) {
  const DoorOptions options = read_door_options(
      options_json,
      {.groups =
           {SettingGroup::model,
            SettingGroup::engine,
            SettingGroup::logging,
            SettingGroup::monitoring},
       .takes_model = true}
  );
  if (options.settings.source("log_level") != Settings::Source::default_value)
    install_log(log_level_from_name(options.settings.text("log_level")), LogColour::never);
  const EngineConfig config = engine_config(options.settings, options.model, process_environment());
  return std::unique_ptr<EngineDoor>(new EngineDoor(open_guarded(config, progress)));
}

EngineDoor::EngineDoor(std::unique_ptr<Engine> engine)
    : process_id_(getpid()), engine_(std::move(engine)) {}

EngineDoor::~EngineDoor() {
  // The engine's threads are the parent's alone: to join them would wait for ever.
  if (is_forked_from(process_id_)) leak(std::move(engine_));
}

void EngineDoor::close() {
  std::shared_ptr<Engine> engine;  // ends after the lock is given back
  if (is_forked_from(process_id_)) return;
  MutexLock lock(mutex_);
  engine.swap(engine_);
}

bool EngineDoor::is_closed() const {
  MutexLock lock(mutex_);
  return engine_ == nullptr;
}

std::shared_ptr<Engine> EngineDoor::engine() const {
  if (is_forked_from(process_id_)) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format(
            "this engine was opened by process {} and does not live on in process {}, which was "
            "forked from it; open the engine after the fork, or start processes by spawn",
            process_id_,
            getpid()
        )
    );
  }
  MutexLock lock(mutex_);
  if (!engine_) throw Error(ErrorCode::shutting_down, "the engine is closed; open another one");
  return engine_;
}

std::vector<std::uint64_t> EngineDoor::submit(EventHub& hub, std::string_view request_json) {
  const auto engine = this->engine();
  Call call = read_call(*engine, request_json);
  std::vector<Generation> generations;
  for (Request& request : call.requests) {
    for (Generation& generation :
         engine->submit(std::move(request), static_cast<int>(call.num_choices)))
      generations.push_back(std::move(generation));
  }
  std::vector<std::uint64_t> ids;
  ids.reserve(generations.size());
  for (Generation& generation : generations) ids.push_back(hub.add(std::move(generation)));
  return ids;
}

std::vector<std::int32_t> EngineDoor::tokenize(
    std::string_view text, const TokenizeOptions& options
) const {
  return engine()->tokenize(text, options);
}

std::string EngineDoor::detokenize(
    std::span<const std::int32_t> token_ids, const DetokenizeOptions& options
) const {
  return engine()->detokenize(token_ids, options);
}

std::string EngineDoor::apply_template(std::string_view request_json) const {
  const auto engine = this->engine();
  const Prompt prompt = read_prompt(*engine, request_json);
  const auto* chat = std::get_if<ChatPrompt>(&prompt);
  if (chat == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a messages parameter", "messages");
  return engine->apply_template(*chat);
}

std::vector<std::int32_t> EngineDoor::prompt_token_ids(std::string_view request_json) const {
  const auto engine = this->engine();
  return engine->prompt_token_ids(read_prompt(*engine, request_json));
}

std::string EngineDoor::model_json() const {
  const auto engine = this->engine();
  const ModelInfo& info = engine->model();
  return json::serialize(json::object{
      {"name", info.name},
      {"family", info.family},
      {"quantization", info.quantization},
      {"vocab_size", info.vocab_size},
      {"context_length", info.context_length},
      {"weight_bytes", info.weight_bytes},
      {"kv_bytes_per_token", info.kv_bytes_per_token},
      {"has_chat_template", info.has_chat_template}
  });
}

std::string EngineDoor::stats_json() const {
  const EngineStats stats = engine()->stats();
  return json::serialize(json::object{
      {"num_running", stats.num_running},
      {"num_waiting", stats.num_waiting},
      {"num_pages", stats.num_pages},
      {"num_free_pages", stats.num_free_pages},
      {"num_cached_pages", stats.num_cached_pages},
      {"num_in_flight_steps", stats.num_in_flight_steps},
      {"device_idle_share", stats.device_idle_share},
      {"page_size", stats.page_size},
      {"max_sequences", stats.max_sequences},
      {"num_steps", stats.num_steps},
      {"num_failed_steps", stats.num_failed_steps},
      {"num_preemptions", stats.num_preemptions},
      {"num_prompt_tokens", stats.num_prompt_tokens},
      {"num_cached_tokens", stats.num_cached_tokens},
      {"num_step_tokens", stats.num_step_tokens},
      {"num_requests_finished", stats.num_requests_finished}
  });
}

std::string EngineDoor::health_json() const {
  const EngineHealth health = engine()->health();
  return json::serialize(json::object{
      {"step", health.step},
      {"has_pending_work", health.has_pending_work},
      {"since_progress_ms", health.since_progress.count()},
      {"last_error",
       health.last_error.empty() ? json::value(nullptr) : json::value(health.last_error)}
  });
}

int EngineDoor::drain(std::chrono::milliseconds timeout) { return engine()->drain(timeout); }

}  // namespace mlxs
