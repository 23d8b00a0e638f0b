// The JSON of replies: what chat and completions have in common, and the interface of what they do
// not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/openai/choice_extras.h"

namespace mlxs {

// A choice of a whole reply.
struct ChoiceResult {
  std::string text;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;
  Finish finish;
};

// The form of one endpoint's choices.
class ReplyFormat {
 public:
  virtual ~ReplyFormat() = default;
  [[nodiscard]] virtual std::string_view id_prefix() const = 0;
  [[nodiscard]] virtual std::string_view whole_name() const = 0;  // `object` of a whole reply
  [[nodiscard]] virtual std::string_view chunk_name() const = 0;  // and of a chunk
  [[nodiscard]] virtual std::string_view prompt_param(
  ) const = 0;  // the field that holds the prompt
  [[nodiscard]] virtual LogprobForm logprob_form() const = 0;

  [[nodiscard]] virtual json::object whole_choice(std::size_t index, const ChoiceResult& result)
      const = 0;
  [[nodiscard]] virtual std::optional<json::object> opening_choice(std::size_t index
  ) const = 0;  // of a stream
  // RETURNS: nothing where the event has nothing to show.
  [[nodiscard]] virtual std::optional<json::object> delta_choice(
      std::size_t index, const Event& event
  ) const = 0;
  // RETURNS: a delta without anything, for what is told beside it.
  [[nodiscard]] virtual json::object empty_choice(std::size_t index) const = 0;
  [[nodiscard]] virtual json::object closing_choice(std::size_t index, const Finish& finish)
      const = 0;
};

// What every reply of one request repeats.
struct ReplyHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  std::string fingerprint;
};

// RETURNS: the reply's object without its choices.
[[nodiscard]] json::object reply_object(const ReplyHead& head, std::string_view name);

[[nodiscard]] json::object usage_object(const Usage& usage);

// RETURNS: why no more of a prompt was cached.
[[nodiscard]] json::object cache_miss_object(const CacheReport& report);

// RETURNS: OpenAI's word for the reason of a choice that ended well.
[[nodiscard]] json::string_view finish_word(const Finish& finish);

// RETURNS: one server-sent event that carries `body`.
[[nodiscard]] std::string sse_event(std::string_view body);

}  // namespace mlxs
