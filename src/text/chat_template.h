// A model's chat template: Jinja as Transformers sets it up, under limits of steps, text, depth and
// time.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "mlx_serving/request.h"

struct MlxsTemplate;

namespace mlxs {

// What a template can take as a message's content.
enum class ContentFormat {
  text,   // strings only
  parts,  // also a list of {"type": "text", "text": ...} and other parts
};

// Thread safety: all members may be called from any thread at once. A moved-from template may only
// be destroyed or assigned to.
class ChatTemplate {
 public:
  using Clock = std::chrono::system_clock;

  // `special_tokens` are the texts of "bos_token", "eos_token" and so on, which the template can
  // name. ERRORS: invalid_model for a syntax error, and for a template that is too large or nested
  // too deeply.
  explicit ChatTemplate(
      std::string_view source, const std::map<std::string, std::string>& special_tokens = {}
  );

  // As Transformers' apply_chat_template, with two things more: lists of text parts are joined for
  // a template that only takes strings, and `now` is what strftime_now() tells, in local time.
  // RETURNS: the prompt's text.
  // ERRORS: template_error with the template's own message when it raises, and when it fails or
  // runs over its limits;
  //   invalid_request for JSON that is malformed or of the wrong shape; unsupported for parts the
  //   model cannot take.
  [[nodiscard]] std::string render(const ChatPrompt& prompt, Clock::time_point now = Clock::now())
      const;

  // Found out by trial when the template was made.
  [[nodiscard]] ContentFormat content_format() const { return content_format_; }

 private:
  struct Free {
    void operator()(MlxsTemplate* handle) const;
  };

  [[nodiscard]] std::string render_messages(
      std::string_view messages_json, const ChatPrompt& prompt, Clock::time_point now
  ) const;
  [[nodiscard]] ContentFormat probe_content_format() const;

  std::unique_ptr<MlxsTemplate, Free> handle_;
  ContentFormat content_format_ = ContentFormat::text;
};

}  // namespace mlxs
