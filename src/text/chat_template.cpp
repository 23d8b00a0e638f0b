// Prepares the template's input and tells what it failed on; the Rust library renders.
#include "text/chat_template.h"

#include <mlxs_text_ffi.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "text/chat_content.h"
#include "text/rust_border.h"

namespace mlxs {
namespace {

std::string to_json_object(const std::map<std::string, std::string>& texts) {
  std::string object = "{";
  for (const auto& [name, text] : texts) {
    if (object.size() > 1) object += ',';
    object += json_quote(name) + ':' + json_quote(text);
  }
  return object + '}';
}

MlxsTime to_local_time(ChatTemplate::Clock::time_point now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const std::time_t time = ChatTemplate::Clock::to_time_t(seconds);
  std::tm local{};
  localtime_r(&time, &local);
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds);
  return {
      .year = local.tm_year + 1900,
      .month = local.tm_mon + 1,
      .day = local.tm_mday,
      .hour = local.tm_hour,
      .minute = local.tm_min,
      .second = local.tm_sec,
      .microsecond = static_cast<std::int32_t>(microseconds.count()),
      .weekday = local.tm_wday,
      .yearday = local.tm_yday + 1,
  };
}

}  // namespace

void ChatTemplate::Free::operator()(MlxsTemplate* handle) const { mlxs_template_free(handle); }

ChatTemplate::ChatTemplate(
    std::string_view source, const std::map<std::string, std::string>& special_tokens
) {
  const std::string tokens = to_json_object(special_tokens);
  MlxsTemplate* handle = nullptr;
  RustBuffer message;
  const MlxsStatus status =
      mlxs_template_new(to_slice(source), to_slice(tokens), &handle, message.out());
  if (status == MlxsStatus_InvalidArgument)
    throw Error(ErrorCode::invalid_model, std::string(message.view()));
  check_status(status, message);
  handle_.reset(handle);
  content_format_ = probe_content_format();
}

std::string ChatTemplate::render(const ChatPrompt& prompt, Clock::time_point now) const {
  if (content_format_ == ContentFormat::parts)
    return render_messages(prompt.messages_json, prompt, now);
  return render_messages(flatten_text_parts(prompt.messages_json), prompt, now);
}

std::string ChatTemplate::render_messages(
    std::string_view messages_json, const ChatPrompt& prompt, Clock::time_point now
) const {
  const MlxsTemplateInput input = {
      .messages = to_slice(messages_json),
      .tools = to_slice(prompt.tools_json),
      .arguments = to_slice(prompt.template_kwargs_json),
      .adds_generation_prompt = prompt.add_generation_prompt,
      .now = to_local_time(now),
  };
  RustBuffer text;
  RustBuffer message;
  check_status(mlxs_template_render(handle_.get(), &input, text.out(), message.out()), message);
  return std::string(text.view());
}

// A template that knows parts prints a part's text and nothing of the list around it.
ContentFormat ChatTemplate::probe_content_format() const {
  constexpr std::string_view kMark = "mlxs-probe";
  const std::string message =
      R"([{"role":"user","content":[{"type":"text","text":"mlxs-probe"}]}])";
  try {
    const std::string text = render_messages(message, {}, Clock::time_point());
    const bool has_list =
        text.find("'text'") != std::string::npos || text.find("\"text\"") != std::string::npos;
    const bool has_mark = text.find(kMark) != std::string::npos;
    return has_mark && !has_list ? ContentFormat::parts : ContentFormat::text;
  } catch (const Error&) {
    // It cannot take a list, or not this conversation: texts are what every template takes.
    return ContentFormat::text;
  }
}

}  // namespace mlxs
