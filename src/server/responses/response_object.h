// The response object of OpenAI's Responses API in each of its states.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/door/answer_one.h"
#include "server/http/message.h"
#include "server/responses/call.h"

namespace mlxs {

// What all states of one response have in common.
struct ResponseFacts {
  std::string id;
  std::string message_id;  // of the item with the text; the others' ids are made of it
  std::int64_t created_at = 0;
  json::object echo;
  bool is_stored = true;
  bool is_background = false;
};

// The text of an answer.
struct OutputPart {
  std::string_view text = {};
  json::array logprobs = {};  // empty where they were not asked for
};

// RETURNS: a response that is not finished, without output.
[[nodiscard]] json::object unfinished_response(const ResponseFacts& facts);

// RETURNS: a response whose status is "completed" or, where the text was cut, "incomplete".
[[nodiscard]] json::object finished_response(
    const ResponseFacts& facts, const DoorResult& result, json::array logprobs
);

[[nodiscard]] json::object failed_response(const ResponseFacts& facts, const HttpFault& fault);

// RETURNS: the output item. `status` is "in_progress", which has no content, or an end.
[[nodiscard]] json::object message_item(
    const ResponseFacts& facts, std::string_view status, const OutputPart& part
);

// RETURNS: the item with the reasoning, as far as it came.
[[nodiscard]] json::object reasoning_item(
    const ResponseFacts& facts, std::string_view status, std::string_view reasoning
);

// RETURNS: the item of a call, with the arguments as far as they came.
[[nodiscard]] json::object call_item(
    const ResponseFacts& facts, std::string_view status, const ToolCallDelta& call
);

// RETURNS: the content part.
[[nodiscard]] json::object text_part(const OutputPart& part);

[[nodiscard]] json::object reasoning_part(std::string_view reasoning);

// RETURNS: "completed" or "incomplete".
[[nodiscard]] std::string_view finished_status(const Finish& finish);

}  // namespace mlxs
