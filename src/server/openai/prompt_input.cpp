// The path of an element is built only for the message: prompts have many.
#include "server/openai/prompt_input.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::string_view kForms =
    "a string, an array of strings, an array of token ids or an array of such arrays";

std::vector<std::int32_t> read_token_ids(
    const json::array& ids, const std::string& path, const PromptInputRule& rule
) {
  if (ids.empty())
    throw Error(ErrorCode::invalid_value, fmt::format("{} must not be empty", path), path);
  const IntegerRule range{rule.field, 0, rule.vocab_size - 1};
  std::vector<std::int32_t> tokens;
  tokens.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto* id = ids[i].if_int64();
    const bool is_valid = id != nullptr && *id >= range.min && *id <= range.max;
    const auto token = is_valid ? *id : checked_integer(ids[i], range, element_path(path, i));
    tokens.push_back(static_cast<std::int32_t>(token));
  }
  return tokens;
}

Prompt read_listed(const json::value& value, const std::string& path, const PromptInputRule& rule) {
  if (value.is_string()) return std::string(to_view(value.get_string()));
  if (value.is_array()) return read_token_ids(value.get_array(), path, rule);
  throw_wrong_type(path, "a string or an array of token ids", value);
}

}  // namespace

std::vector<Prompt> read_prompt_input(const json::value& value, const PromptInputRule& rule) {
  const std::string field(rule.field);
  std::vector<Prompt> prompts;
  if (value.is_string()) {
    prompts.emplace_back(std::string(to_view(value.get_string())));
    return prompts;
  }
  if (!value.is_array()) throw_wrong_type(field, kForms, value);
  const json::array& items = value.get_array();
  if (items.empty()) throw Error(ErrorCode::invalid_value, field + " must not be empty", field);
  if (items.front().is_number()) {
    prompts.emplace_back(read_token_ids(items, field, rule));
    return prompts;
  }
  if (items.size() > rule.max_prompts) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} has {} entries, the limit is {}", field, items.size(), rule.max_prompts),
        field
    );
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].kind() != items.front().kind()) throw_wrong_type(field, kForms, items[i]);
    prompts.push_back(read_listed(items[i], element_path(field, i), rule));
  }
  return prompts;
}

}  // namespace mlxs
