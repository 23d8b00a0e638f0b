// One engine as a package of another language sees it: options and requests are JSON with the names
// of the settings and of the HTTP API, checked by the same code, so that errors are the same, too.
// Answers come through an EventHub.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "bindings/common/event_hub.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"

namespace mlxs {

// RETURNS: the word for an error's code: "invalid_value".
[[nodiscard]] std::string_view error_name(ErrorCode code);
// RETURNS: the words of all codes.
[[nodiscard]] std::vector<std::string_view> error_names();

// Thread safety: all members may be called from any thread. Every member refuses with engine_error
// in a process forked from the one that opened the engine, and with shutting_down after close().
class EngineDoor {
 public:
  // `options_json` is an object: `model` (folder, file or alias; without it the default model) and
  // any setting of the groups model, engine and logging. Environment variables count as for the
  // command line.
  // ERRORS: invalid_config, also for an option that is none; as Engine::open().
  [[nodiscard]] static std::unique_ptr<EngineDoor> open(
      std::string_view options_json, const LoadProgress& progress = {}
  );

  ~EngineDoor();  // close(); in a forked child it only forgets
  EngineDoor(const EngineDoor&) = delete;
  EngineDoor& operator=(const EngineDoor&) = delete;

  // Ends what runs and gives the model back. A second call does nothing.
  void close();
  [[nodiscard]] bool is_closed() const;

  // Queues what `request_json` asks for, the body of a chat completion where it has `messages`, of
  // a completion otherwise; `model` may be left out. RETURNS: a stream of `hub` for each prompt and
  // choice, those of one prompt together. ERRORS: as over HTTP; then nothing is queued.
  std::vector<std::uint64_t> submit(EventHub& hub, std::string_view request_json);

  // See Engine. `request_json` as for submit(), with one prompt.
  [[nodiscard]] std::vector<std::int32_t> tokenize(
      std::string_view text, const TokenizeOptions& options
  ) const;
  [[nodiscard]] std::string detokenize(
      std::span<const std::int32_t> token_ids, const DetokenizeOptions& options
  ) const;
  [[nodiscard]] std::string apply_template(std::string_view request_json) const;
  [[nodiscard]] std::vector<std::int32_t> prompt_token_ids(std::string_view request_json) const;

  // RETURNS: objects with the names of ModelInfo's, EngineStats' and EngineHealth's fields.
  [[nodiscard]] std::string model_json() const;
  [[nodiscard]] std::string stats_json() const;
  [[nodiscard]] std::string health_json() const;

  // See Engine::drain().
  int drain(std::chrono::milliseconds timeout);

  // RETURNS: the engine, which lives as long as somebody holds it. ERRORS: as every member.
  [[nodiscard]] std::shared_ptr<Engine> engine() const;

 private:
  explicit EngineDoor(std::unique_ptr<Engine> engine);

  const pid_t process_id_;
  mutable Mutex mutex_;
  // Shared, so that a call that runs while another thread closes ends on a living engine.
  std::shared_ptr<Engine> engine_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
