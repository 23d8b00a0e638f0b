// What an engine answers: a stream of events for each request, and the handle that reads it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {

enum class FinishReason {
  stop,       // end-of-text token, stop string or stop token
  length,     // max_tokens or the end of the context
  cancelled,  // Generation::cancel, or its handle went away
  error,      // Finish::error says why
};

// RETURNS: "stop", "length", "cancelled" or "error".
[[nodiscard]] std::string_view finish_reason_name(FinishReason reason);

// Why fewer of a prompt's tokens were cached than could be. It says nothing about what requests
// with other salts have left.
enum class CacheMiss {
  none,         // all that can match did
  first_token,  // nothing that is cached begins like it
  diverged,     // it leaves what is cached at CacheReport::first_differing_token
  evicted,      // its pages were cached once and had to make room
  salted,       // it has a salt, and nothing is cached under that
  disabled,     // the prefix cache is off, for the engine or for this request
};

// RETURNS: the enumerator's name.
[[nodiscard]] std::string_view cache_miss_name(CacheMiss miss);

struct CacheReport {
  CacheMiss miss = CacheMiss::none;
  int first_differing_token = -1;  // index in the prompt; -1: does not apply
};

// A further piece of a tool call. The first piece of a call carries its id and name; the pieces'
// arguments, joined, are one JSON object.
struct ToolCallDelta {
  int index = 0;  // of the call within the output
  std::string id = {};
  std::string name = {};
  std::string arguments = {};

  friend bool operator==(const ToolCallDelta&, const ToolCallDelta&) = default;
};

struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;      // prompt tokens whose keys and values were reused
  int completion_tokens = 0;  // sampled tokens, the one that ended the sequence included
  int reasoning_tokens = 0;   // of those: within the reasoning
};

// Times of one request, by the engine's monotonic clock.
struct Timings {
  double queue_ms = 0.0;    // from submission to the first step that ran a part of the prompt
  double prefill_ms = 0.0;  // from there to the first sampled token
  double decode_ms = 0.0;   // from there to the last
};

// What the scheduler did with one request.
struct Course {
  int num_prompt_chunks = 0;  // steps that its prompt was spread over
  int num_preemptions = 0;    // times that it had to make room for a more urgent one
};

struct Finish {
  FinishReason reason = FinishReason::stop;
  std::optional<Error> error = {};  // with FinishReason::error
  std::string stop_string = {};     // of StopParams::stop, which ended the text; empty: none did
  int num_tool_calls = 0;           // in the output
  Usage usage = {};
  CacheReport cache = {};
  Timings timings = {};
  Course course = {};
};

struct TokenLogprob {
  std::int32_t id = 0;
  float logprob = 0.0F;  // natural logarithm
};

struct TokenLogprobs {
  std::int32_t id = 0;
  float logprob = 0.0F;
  int rank = 0;  // how many tokens are at least as likely, itself included
  // the likeliest first, or the tokens that were named
  std::vector<TokenLogprob> top = {};
};

// The first event of a request that was accepted has prompt_tokens set and no text; the last has
// finish set. A request that is refused has one event only, its finish with the error.
struct Event {
  std::optional<int> prompt_tokens = {};
  // Whole UTF-8 characters only; the concatenations over all events are the output. In the answer
  // to a conversation, reasoning and tool calls are told apart from the text.
  std::string text = {};
  std::string reasoning = {};
  std::vector<ToolCallDelta> tool_calls = {};
  std::vector<std::int32_t> token_ids = {};  // sampled since the previous event
  // Of these tokens, where asked for, but for the token that ended the text and is not shown.
  std::vector<TokenLogprobs> logprobs = {};
  // With the first token, where Request::returns_prompt asks for it.
  std::vector<std::int32_t> prompt_ids = {};
  // With the first token, where asked for: of the prompt's tokens but the first.
  std::vector<TokenLogprobs> prompt_logprobs = {};
  std::vector<float> embedding = {};  // with the finish of a request with Request::pooling
  std::optional<Finish> finish = {};
};

class EventStream;  // src/engine/event_stream.h

// The reading end of one request. Destroying it cancels the request.
//
// Thread safety: cancel() may be called from any thread; the other members from one thread at a
// time.
class Generation {
 public:
  explicit Generation(std::shared_ptr<EventStream> stream);
  ~Generation();
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Waits for the next event. RETURNS: nothing once the finish was handed out.
  [[nodiscard]] std::optional<Event> next();

  // RETURNS: the next event if there is one; deltas that piled up come as one event.
  [[nodiscard]] std::optional<Event> try_next();

  // `wake` is called, from an engine thread and never under its locks, each time an event arrives
  // after try_next() found none. It must return quickly and must not call into the engine. It is
  // called once at once if an event waits.
  void on_ready(const std::function<void()>& wake);

  // Ends the request within one step; the stream then ends with FinishReason::cancelled.
  void cancel();

 private:
  std::shared_ptr<EventStream> stream_;
};

}  // namespace mlxs
