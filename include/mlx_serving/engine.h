// The engine: one model, loaded, answering requests in batches. Every door (server, command line,
// bindings) enters here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/config.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {

// The texts of the tokens between which a model was trained to fill in; empty: it was not.
struct FillInMiddle {
  std::string prefix = {};
  std::string suffix = {};
  std::string middle = {};
};

struct ModelInfo {
  std::string name = {};    // as clients name it: the folder's or file's name without extension
  std::string family = {};  // "llama"
  std::string quantization = {};  // "float32", "4-bit affine, groups of 32"
  int vocab_size = 0;
  int context_length = 0;  // tokens that one sequence may have, prompt and output together
  std::int64_t weight_bytes = 0;
  std::int64_t kv_bytes_per_token = 0;
  bool has_chat_template = false;
  std::string tool_format = {};       // how it calls tools: "hermes"; empty: not known
  std::string reasoning_format = {};  // how it marks its reasoning: "think"; empty: it does not
  FillInMiddle fill_in_middle = {};
  SamplingParams default_sampling = {};  // the model's own recommendation, where its files have one
};

// What the scheduler has decided so far, and what it stands at.
struct SchedulerFigures {
  int num_parked = 0;      // wait for a prefix that another request computes, or for their reader
  int num_swapped = 0;     // wait with their pages in host memory
  int prefill_budget = 0;  // prompt rows that the newest step could have taken
  double predicted_decode_ms = 0.0;  // of a step with the newest one's decodes alone
  double prefill_rows_per_s = 0.0;   // predicted, beside those decodes
  std::uint64_t num_recomputes = 0;  // preemptions that lost their pages
  std::uint64_t num_swaps = 0;       // preemptions that kept them
  std::uint64_t num_aged_starts = 0;
  std::uint64_t num_refused_queue_full = 0;
  std::uint64_t num_refused_deadline = 0;
  std::uint64_t num_expired = 0;
};

// The steps on the device.
struct RingFigures {
  std::uint64_t num_failed = 0;
  std::uint64_t num_timeouts = 0;
  double wait_ms = 0.0;         // of the host for the device
  double busy_ms = 0.0;         // the device had a step
  double idle_ms = 0.0;         // it had none although work was pending
  double mean_occupancy = 0.0;  // steps in flight, weighted with time
};

struct EngineStats {
  int num_running = 0;  // sequences that hold KV pages
  int num_waiting = 0;  // requests submitted and not yet running
  int num_pages = 0;    // of the KV pools, all groups of layers together
  int num_free_pages = 0;
  int num_cached_pages = 0;  // hold prompts that nobody runs; they make room when it is needed
  int num_in_flight_steps = 0;
  double device_idle_share = 0.0;  // of the time with work, in [0, 1]
  int page_size = 0;               // tokens of one page
  int max_sequences = 0;           // that run at once
  std::uint64_t num_steps = 0;
  std::uint64_t num_failed_steps = 0;
  std::uint64_t num_preemptions = 0;
  std::uint64_t num_prompt_tokens = 0;  // of requests that started
  std::uint64_t num_cached_tokens = 0;  // of those
  std::uint64_t num_step_tokens = 0;    // tokens forwarded, prompts and decodes
  std::uint64_t num_requests_finished = 0;
  SchedulerFigures scheduler = {};
  RingFigures ring = {};
};

// The engine's heartbeat, read without disturbing it.
struct EngineHealth {
  std::uint64_t step = 0;  // number of completed steps
  bool has_pending_work = false;
  // since a step completed or work arrived at an idle engine
  std::chrono::milliseconds since_progress{0};
  std::string last_error = {};  // of the device; empty: none
};

struct TokenizeOptions {
  bool add_special_tokens = false;  // what the model expects around a text, its first token for one
  bool parse_special_tokens = true;  // special tokens written in the text become their ids
};

struct DetokenizeOptions {
  bool skip_special_tokens = true;  // false: their text is kept
};

class Collector;     // what is counted of requests; src/telemetry/collector.h
struct EngineParts;  // what an engine is made of; src/engine/engine_parts.h

// Thread safety: all members may be called from any thread.
class Engine {
 public:
  // Loads a model and starts it.
  // ERRORS: model_not_found, invalid_model, unsupported_model, invalid_config, io_error.
  [[nodiscard]] static std::unique_ptr<Engine> open(
      const EngineConfig& config, const LoadProgress& progress = {}
  );

  explicit Engine(EngineParts parts);
  ~Engine();  // cancels what runs and joins its threads
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues a request. What is wrong with the request itself arrives as its only event.
  // ERRORS: rate_limit_exceeded where the queue is full; shutting_down after drain().
  [[nodiscard]] Generation submit(Request request);

  // Queues `count` answers to one request. They share the prompt's keys and values; with a seed,
  // answer i draws with seed + i. RETURNS: one generation each.
  // REQUIRES: count >= 1. ERRORS: as submit(); then none is queued.
  [[nodiscard]] std::vector<Generation> submit(Request request, int count);

  // RETURNS: the ids of `text`. ERRORS: invalid_request for text that is not UTF-8.
  [[nodiscard]] std::vector<std::int32_t> tokenize(
      std::string_view text, const TokenizeOptions& options = {}
  ) const;
  // RETURNS: the text of the ids. ERRORS: invalid_value for an id outside of the vocabulary.
  [[nodiscard]] std::string detokenize(
      std::span<const std::int32_t> token_ids, const DetokenizeOptions& options = {}
  ) const;
  // RETURNS: the bytes that one id stands for, which need not be whole characters.
  // ERRORS: as detokenize().
  [[nodiscard]] std::string_view token_bytes(std::int32_t token_id) const;

  // RETURNS: the text that the model's chat template makes of a conversation, and the ids that
  // submit() would run for a prompt. ERRORS: what submit() would answer for that prompt.
  [[nodiscard]] std::string apply_template(const ChatPrompt& prompt) const;
  [[nodiscard]] std::vector<std::int32_t> prompt_token_ids(const Prompt& prompt) const;

  // RETURNS: what is known of a JSON schema as a constraint, as JSON: `supported`, `compile_ms`,
  // and `example` (an instance, or null) or `error` and `error_kind` ("unsupported", "invalid",
  // "limit"). Takes up to 2 s. ERRORS: unsupported for a model that cannot be constrained.
  [[nodiscard]] std::string check_schema(std::string_view schema) const;

  [[nodiscard]] const ModelInfo& model() const;
  [[nodiscard]] EngineStats stats() const;
  [[nodiscard]] EngineHealth health() const;
  // RETURNS: what is counted while requests run. Valid as long as the engine.
  [[nodiscard]] const Collector& collector() const;
  [[nodiscard]] Collector& collector();

  // Refuses new requests from now on and waits until the others are done or `timeout` is over; the
  // rest is then ended with shutting_down. RETURNS: the number of requests that were cut off.
  int drain(std::chrono::milliseconds timeout);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlxs
