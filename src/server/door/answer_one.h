// Runs one request on the engine and writes its answer, whole or as a stream, in the form of any
// API that has one answer a request. OpenAI's chat and completions, which have several, are in
// openai/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"

namespace mlxs {

enum class ReplyMode { whole, stream };

struct DoorCall {
  Request request;
  // Begins the answer after what the prompt's conversation ends with; empty: nothing does.
  std::string prefill;
  ReplyMode mode = ReplyMode::whole;
};

// What was answered.
struct DoorResult {
  std::string text;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;  // whole ones
  std::vector<std::int32_t> token_ids;
  std::vector<TokenLogprobs> logprobs;
  Finish finish;
};

// The form of an answer. A stream is opening(), delta() as often as there is something, and one of
// closing() and broken(); each returns the bytes to send. The functions of one answer are called in
// that order.
class DoorForm {
 public:
  virtual ~DoorForm() = default;
  [[nodiscard]] virtual std::string_view stream_type() const = 0;   // Content-Type of a stream
  [[nodiscard]] virtual std::string_view prompt_param() const = 0;  // the field of the prompt
  [[nodiscard]] virtual std::string opening(int prompt_tokens) = 0;
  [[nodiscard]] virtual std::string delta(const Event& event) = 0;
  [[nodiscard]] virtual std::string closing(const DoorResult& result) = 0;
  [[nodiscard]] virtual std::string broken(const HttpFault& fault) = 0;
  [[nodiscard]] virtual std::string whole(const DoorResult& result) = 0;  // body of a whole reply

  // Called before the last bytes leave.
  [[nodiscard]] virtual Task<void> finished(const DoorResult& result);
  // Called before broken().
  [[nodiscard]] virtual Task<void> failed(const HttpFault& fault);
};

// ERRORS: Error before the first byte was sent; a later one is told within the stream.
// ConnectionLost; boost::system::system_error where the client hung up.
Task<void> answer_one(const ApiContext& context, Exchange& exchange, DoorCall call, DoorForm& form);

// RETURNS: a server-sent event with a name.
[[nodiscard]] std::string named_event(std::string_view name, std::string_view body);

// ERRORS: shutting_down.
void check_not_draining(const ApiContext& context);

}  // namespace mlxs
