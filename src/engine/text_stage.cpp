// The workers' loop, and what becomes of each form of prompt.
#include "engine/text_stage.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/open_requests.h"
#include "engine/request_check.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

// No vocabulary has longer tokens worth speaking of, so a longer text cannot fit and is not worth
// tokenizing.
constexpr std::size_t kMaxBytesPerToken = 256;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

TextStage::TextStage(const EngineParts& parts, std::size_t capacity, Deliver deliver)
    : info_(parts.info), text_(parts.text), deliver_(std::move(deliver)), queue_(capacity) {
  for (int i = 0; i < parts.num_text_workers; ++i) workers_.emplace_back([this] { work(); });
}

TextStage::~TextStage() { close(); }

void TextStage::submit(SubmittedRequest submitted) { (void)queue_.try_push(std::move(submitted)); }

void TextStage::close() {
  is_closing_ = true;
  queue_.close();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void TextStage::work() {
  while (auto submitted = queue_.pop()) {
    if (!is_closing_) prepare_and_deliver(std::move(*submitted));
  }
}

void TextStage::prepare_and_deliver(SubmittedRequest submitted) {
  std::vector<Ticket> tickets;
  for (Ticket& ticket : submitted.tickets) {
    if (ticket.stream().is_cancelled()) {
      ticket.finish({.reason = FinishReason::cancelled});
    } else {
      tickets.push_back(std::move(ticket));
    }
  }
  if (tickets.empty()) return;
  const auto refuse = [&tickets](const Error& error) {
    for (Ticket& ticket : tickets) ticket.fail(error);
  };
  Request& request = submitted.request;
  try {
    check_request(request, info_);
    auto prompt_ids = tokenize(request.prompt);
    const int max_length = check_prompt(prompt_ids, request.stop, info_);
    deliver_(
        {.prompt_ids = std::move(prompt_ids),
         .max_length = max_length,
         .sampling = std::move(request.sampling),
         .stop = std::move(request.stop),
         .scheduling = std::move(request.scheduling),
         .prefix_cache = std::move(request.prefix_cache),
         .tickets = std::move(tickets)}
    );
  } catch (const Error& error) {
    refuse(error);
  } catch (const std::exception& error) {
    refuse(Error(
        ErrorCode::engine_error, fmt::format("the prompt could not be prepared: {}", error.what())
    ));
  }
}

std::vector<std::int32_t> TextStage::tokenize(const Prompt& prompt) const {
  return std::visit(
      Overloaded{
          [](const std::vector<std::int32_t>& ids) { return ids; },
          [this](const std::string& text) { return tokenize_text(text, AddSpecialTokens::yes); },
          [this](const ChatPrompt& chat) {
            return tokenize_text(render(chat), AddSpecialTokens::no);
          },
      },
      prompt
  );
}

std::vector<std::int32_t> TextStage::tokenize_text(std::string_view text, AddSpecialTokens add)
    const {
  const auto max_bytes = static_cast<std::size_t>(info_.context_length) * kMaxBytesPerToken;
  if (text.size() > max_bytes) {
    throw Error(
        ErrorCode::context_length_exceeded,
        fmt::format(
            "the prompt has {} bytes, more than {} tokens can hold",
            text.size(),
            info_.context_length
        ),
        "prompt"
    );
  }
  return text_->tokenizer.encode(text, {.add_special_tokens = add});
}

std::string TextStage::render(const ChatPrompt& prompt) const {
  const std::optional<ChatTemplate>& chat_template = text_->chat_template;
  if (!chat_template) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("the model '{}' has no chat template; send a plain prompt instead", info_.name),
        "messages"
    );
  }
  return chat_template->render(prompt);
}

}  // namespace mlxs
