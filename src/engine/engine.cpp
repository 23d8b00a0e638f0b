// The public face: joins the stages of a request and their life times. It takes no step itself.
#include "mlx_serving/engine.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "engine/device_thread.h"
#include "engine/engine_loop.h"
#include "engine/event_stream.h"
#include "engine/heartbeat.h"
#include "engine/open_requests.h"
#include "engine/prompt_text.h"
#include "engine/text_model.h"
#include "engine/text_stage.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "telemetry/collector.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

constexpr std::chrono::seconds kFlushTime(10);

void check_token_id(const Tokenizer& tokenizer, std::int32_t id) {
  if (tokenizer.is_known(id)) return;
  throw Error(
      ErrorCode::invalid_value, fmt::format("token id {} is not in the vocabulary", id), "token_ids"
  );
}

std::shared_ptr<Collector> make_collector(const EngineParts& parts) {
  CollectorOptions options = parts.telemetry;
  options.model = parts.info.name;
  options.context_length = parts.info.context_length;
  options.weight_bytes = parts.info.weight_bytes;
  options.kv_bytes_per_token = parts.info.kv_bytes_per_token;
  return std::make_shared<Collector>(std::move(options));
}

ModelInfo with_formats(ModelInfo info, const TextModel& text) {
  if (!text.chat_template) return info;
  if (text.tool_format != nullptr) info.tool_format = text.tool_format->name;
  if (text.reasoning_format != nullptr) info.reasoning_format = text.reasoning_format->name;
  return info;
}

}  // namespace

// Thread safety: as Engine's.
class Engine::Impl {
 public:
  explicit Impl(EngineParts parts)
      : info_(with_formats(parts.info, *parts.text)),
        text_(parts.text),
        collector_(make_collector(parts)),
        page_size_(parts.scheduler.cache.page_size),
        max_sequences_(parts.scheduler.max_sequences),
        capacity_(static_cast<std::size_t>(parts.max_queue + parts.scheduler.max_sequences)),
        open_(std::make_shared<OpenRequests>(static_cast<int>(capacity_))),
        device_(DeviceThread::acquire()) {
    parts.collector = collector_;
    device_->run([this, &parts] {
      loop_ = std::make_unique<EngineLoop>(parts, capacity_, [bell = device_->bell()] {
        bell->ring();
      });
    });
    device_->attach(*loop_);
    stage_ = std::make_unique<TextStage>(parts, capacity_, [this](PreparedRequest request) {
      // The queue holds as many as may be open, so a refusal means that the loop is closed; the
      // ticket then says so.
      if (loop_->commands().try_push(std::move(request))) device_->bell()->ring();
    });
  }

  ~Impl() {
    is_draining_ = true;
    stage_->close();
    device_->detach(*loop_);
    device_->run([this] {
      loop_->fail_all(Error(ErrorCode::shutting_down, "the engine was closed"));
      if (!loop_->flush_cache(kFlushTime)) log_warning("not all cached pages reached the disk");
      loop_.reset();
    });
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::vector<Generation> submit(Request request, int count) {
    if (count < 1) throw std::logic_error("Engine::submit: count must be at least 1");
    if (is_draining_)
      throw Error(
          ErrorCode::shutting_down, "the engine takes no new requests; it is shutting down"
      );
    const RequestShape shape = {
        .max_tokens = request.stop.max_tokens.value_or(0), .num_answers = count
    };
    KeyMetrics& key = collector_->key(request.account);
    if (!open_->try_add(count)) {
      collector_->record_request(key, shape);
      collector_->record_failure(key, ErrorCode::rate_limit_exceeded);
      throw Error(
          ErrorCode::rate_limit_exceeded,
          fmt::format(
              "{} requests are open already, as many as the queue holds; retry later", capacity_
          )
      );
    }
    SubmittedRequest submitted{.request = std::move(request), .tickets = {}};
    std::vector<Generation> generations;
    for (int i = 0; i < count; ++i) {
      auto stream = std::make_shared<EventStream>(device_->bell());
      RequestMeter meter(collector_, key, shape);
      meter.trace(collector_->trace(submitted.request.label, submitted.request.traceparent));
      submitted.tickets.emplace_back(open_, stream, std::move(meter));
      generations.emplace_back(std::move(stream));
    }
    stage_->submit(std::move(submitted));
    return generations;
  }

  int drain(std::chrono::milliseconds timeout) {
    is_draining_ = true;
    if (open_->wait_until_none(OpenRequests::Clock::now() + timeout)) return 0;
    int num_cut = 0;
    do {
      device_->run([this, &num_cut] {
        num_cut += loop_->fail_all(Error(
            ErrorCode::shutting_down,
            "the engine shut down before this request was done; send it again"
        ));
      });
    } while (!open_->wait_until_none(OpenRequests::Clock::now() + std::chrono::milliseconds(10)));
    return num_cut;
  }

  [[nodiscard]] const ModelInfo& info() const { return info_; }
  [[nodiscard]] const TextModel& text() const { return *text_; }
  [[nodiscard]] Collector& collector() const { return *collector_; }

  [[nodiscard]] EngineStats stats() const {
    EngineStats stats;
    loop_->read_stats(stats);
    stats.page_size = page_size_;
    stats.max_sequences = max_sequences_;
    stats.num_waiting = std::max(0, open_->count() - stats.num_running);
    return stats;
  }

  [[nodiscard]] EngineHealth health() const {
    const Heartbeat& heartbeat = loop_->heartbeat();
    const auto progress = std::max(heartbeat.last_step(), open_->busy_since());
    const auto since = Heartbeat::Clock::now() - progress;
    return {
        .step = heartbeat.num_steps(),
        .has_pending_work = open_->count() > loop_->num_paused(),
        .since_progress = std::chrono::duration_cast<std::chrono::milliseconds>(since),
        .last_error = heartbeat.last_error()
    };
  }

 private:
  const ModelInfo info_;
  const std::shared_ptr<const TextModel> text_;
  const std::shared_ptr<Collector> collector_;  // shared with tickets, which may live longer
  const int page_size_;
  const int max_sequences_;
  const std::size_t capacity_;
  const std::shared_ptr<OpenRequests> open_;
  const std::shared_ptr<DeviceThread> device_;
  std::unique_ptr<EngineLoop> loop_;  // made and destroyed on the device thread
  std::unique_ptr<TextStage> stage_;
  std::atomic<bool> is_draining_ = false;
};

Engine::Engine(EngineParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Engine::~Engine() = default;

Generation Engine::submit(Request request) {
  return std::move(impl_->submit(std::move(request), 1).front());
}
std::vector<Generation> Engine::submit(Request request, int count) {
  return impl_->submit(std::move(request), count);
}

std::vector<std::int32_t> Engine::tokenize(std::string_view text, const TokenizeOptions& options)
    const {
  return impl_->text().tokenizer.encode(
      text,
      {.add_special_tokens =
           options.add_special_tokens ? AddSpecialTokens::yes : AddSpecialTokens::no,
       .special_tokens = options.parse_special_tokens ? SpecialTokensInText::parsed
                                                      : SpecialTokensInText::as_text}
  );
}

std::string Engine::detokenize(
    std::span<const std::int32_t> token_ids, const DetokenizeOptions& options
) const {
  const Tokenizer& tokenizer = impl_->text().tokenizer;
  for (const std::int32_t id : token_ids) check_token_id(tokenizer, id);
  return tokenizer.decode(
      token_ids,
      {.special_tokens = options.skip_special_tokens ? SpecialTokensInOutput::skipped
                                                     : SpecialTokensInOutput::kept}
  );
}

std::string_view Engine::token_bytes(std::int32_t token_id) const {
  const Tokenizer& tokenizer = impl_->text().tokenizer;
  check_token_id(tokenizer, token_id);
  return tokenizer.id_to_bytes(token_id);
}

std::string Engine::apply_template(const ChatPrompt& prompt) const {
  return render_chat(prompt, impl_->info(), impl_->text());
}

std::vector<std::int32_t> Engine::prompt_token_ids(const Prompt& prompt) const {
  return prompt_ids(prompt, impl_->info(), impl_->text());
}

std::string Engine::check_schema(std::string_view schema) const {
  const TextModel& text = impl_->text();
  if (!text.grammars) {
    throw Error(
        ErrorCode::unsupported,
        "this model has no end token, so that no constrained output could end"
    );
  }
  return mlxs::check_schema(text.grammars->vocabulary, schema);
}

const ModelInfo& Engine::model() const { return impl_->info(); }
EngineStats Engine::stats() const { return impl_->stats(); }
EngineHealth Engine::health() const { return impl_->health(); }
const Collector& Engine::collector() const { return impl_->collector(); }
Collector& Engine::collector() { return impl_->collector(); }
int Engine::drain(std::chrono::milliseconds timeout) { return impl_->drain(timeout); }

}  // namespace mlxs
