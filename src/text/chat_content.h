// Messages whose content is a list of parts, for templates that only know texts.
#pragma once

#include <string>
#include <string_view>

namespace mlxs {

// Joins the text parts of each message's content with newlines; other messages stay as they are.
// RETURNS: the messages as JSON; `messages_json` itself when no content is a list.
// ERRORS: invalid_request for JSON that is not an array of objects; unsupported, with the part's
// path, for a part that
//   is no text.
[[nodiscard]] std::string flatten_text_parts(std::string_view messages_json);

}  // namespace mlxs
