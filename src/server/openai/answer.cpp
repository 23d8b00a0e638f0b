// A stream's status is sent once every choice was accepted, so that a refusal has a status of its
// own. While the client's socket is full, deltas merge in the engine; nothing is buffered here.
#include "server/openai/answer.h"

#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"
#include "server/api_context.h"
#include "server/generation_group.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/call.h"
#include "server/openai/choice_extras.h"
#include "server/openai/error_body.h"
#include "server/openai/reply.h"
#include "server/openai/tool_fields.h"

namespace mlxs {
namespace {

constexpr std::string_view kDone = "data: [DONE]\n\n";
constexpr std::size_t kMaxWriteBytes = std::size_t{64} << 10;

struct Choice {
  explicit Choice(ChoiceExtras own_extras) : extras(std::move(own_extras)) {}

  bool is_accepted = false;
  ChoiceResult result;  // of a whole reply, but for its finish
  std::optional<Finish> finish;
  ChoiceExtras extras;
};

// Follows the choices of one call; throws what ended one of them.
class Progress {
 public:
  Progress(const std::vector<Choice>& choices, const ReplyFormat& format)
      : choices_(choices), format_(format) {}

  void apply(const GroupEvent& event) {
    Choice& choice = choices_.at(event.index);
    choice.extras.add(event.event);
    if (!event.event.finish) {
      note_accepted(choice);
      return;
    }
    const Finish& finish = *event.event.finish;
    if (finish.reason == FinishReason::error)
      throw renamed(finish.error.value_or(Error(ErrorCode::engine_error, "the request failed")));
    if (finish.reason == FinishReason::cancelled)
      throw Error(ErrorCode::cancelled, "the request was cancelled");
    note_accepted(choice);
    choice.finish = finish;
  }

  [[nodiscard]] bool all_accepted() const { return num_accepted_ == choices_.size(); }
  [[nodiscard]] std::vector<Choice>& choices() { return choices_; }

  // The prompt of several choices counts once.
  [[nodiscard]] Usage usage(std::size_t num_choices) const {
    Usage sum;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const std::optional<Finish>& finish = choices_[i].finish;
      const Usage usage = finish ? finish->usage : Usage{};
      sum.completion_tokens += usage.completion_tokens;
      sum.reasoning_tokens += usage.reasoning_tokens;
      if (i % num_choices != 0) continue;
      sum.prompt_tokens += usage.prompt_tokens;
      sum.cached_tokens += usage.cached_tokens;
    }
    return sum;
  }

  // One entry a prompt.
  [[nodiscard]] json::array cache_misses(std::size_t num_choices) const {
    json::array misses;
    for (std::size_t i = 0; i < choices_.size(); i += num_choices) {
      const std::optional<Finish>& finish = choices_[i].finish;
      misses.push_back(cache_miss_object(finish ? finish->cache : CacheReport{}));
    }
    return misses;
  }

 private:
  void note_accepted(Choice& choice) {
    if (!choice.is_accepted) ++num_accepted_;
    choice.is_accepted = true;
  }

  // The engine calls every prompt "prompt"; a chat client calls it "messages".
  [[nodiscard]] Error renamed(const Error& error) const {
    if (error.param() != "prompt") return error;
    return {error.code(), error.what(), std::string(format_.prompt_param())};
  }

  std::vector<Choice> choices_;
  const ReplyFormat& format_;
  std::size_t num_accepted_ = 0;
};

class Answer {
 public:
  Answer(const ApiContext& context, Exchange& exchange, const Call& call, const ReplyFormat& format)
      : exchange_(exchange),
        call_(call),
        format_(format),
        progress_(
            std::vector<Choice>(
                call.requests.size() * call.num_choices,
                Choice(ChoiceExtras(context.engine, call.reply.tokens, format.logprob_form()))
            ),
            format
        ) {
    head_.id = context.service.ids.next(format.id_prefix());
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    head_.created = std::chrono::duration_cast<std::chrono::seconds>(now).count();
    head_.model = call.model;
    head_.fingerprint = context.model.fingerprint;
  }

  Task<void> whole(GenerationGroup& group);
  Task<void> stream(GenerationGroup& group);

 private:
  Task<std::string> wait_until_accepted(GenerationGroup& group);
  Task<void> stream_rest(GenerationGroup& group, std::string pending);
  void add_chunks(const GroupEvent& event, std::string& out);
  void add_chunk(json::object choice, std::string& out) const;
  [[nodiscard]] std::string closing_events();
  [[nodiscard]] json::object final_usage();

  Exchange& exchange_;
  const Call& call_;
  const ReplyFormat& format_;
  ReplyHead head_;
  Progress progress_;
};

// RETURNS: the usage of all choices, which goes into the log, too.
json::object Answer::final_usage() {
  const Usage usage = progress_.usage(call_.num_choices);
  exchange_.note("prompt_tokens", static_cast<std::size_t>(usage.prompt_tokens));
  exchange_.note("completion_tokens", static_cast<std::size_t>(usage.completion_tokens));
  json::object object = usage_object(usage);
  if (call_.reply.explain_cache) {
    object["prompt_tokens_details"].as_object()["cache_misses"] =
        progress_.cache_misses(call_.num_choices);
  }
  return object;
}

Task<void> Answer::whole(GenerationGroup& group) {
  while (std::optional<GroupEvent> event = co_await group.next()) {
    progress_.apply(*event);
    Choice& choice = progress_.choices()[event->index];
    choice.result.text += choice.extras.take_echo() + event->event.text;
    choice.result.reasoning += event->event.reasoning;
    add_tool_calls(event->event.tool_calls, choice.result.tool_calls);
  }
  json::object body = reply_object(head_, format_.whole_name());
  json::array choices;
  for (std::size_t i = 0; i < progress_.choices().size(); ++i) {
    Choice& choice = progress_.choices()[i];
    choice.result.finish = choice.finish.value_or(Finish{});
    json::object object = format_.whole_choice(i, choice.result);
    choice.extras.write(object);
    // A chat has one prompt, and vLLM tells of it beside the choices.
    const bool is_chat = format_.logprob_form() == LogprobForm::chat;
    if (!is_chat || i == 0) choice.extras.write_prompt(is_chat ? body : object);
    choices.push_back(std::move(object));
  }
  body["choices"] = std::move(choices);
  body["usage"] = final_usage();
  HttpResponse response;
  response.body = json::serialize(body);
  co_await exchange_.respond(std::move(response));
}

void Answer::add_chunk(json::object choice, std::string& out) const {
  json::object chunk = reply_object(head_, format_.chunk_name());
  json::array choices;
  choices.push_back(std::move(choice));
  chunk["choices"] = std::move(choices);
  if (call_.reply.include_usage) chunk["usage"] = nullptr;
  out += sse_event(json::serialize(chunk));
}

void Answer::add_chunks(const GroupEvent& event, std::string& out) {
  ChoiceExtras& extras = progress_.choices()[event.index].extras;
  Event shown = event.event;
  shown.text = extras.take_echo() + shown.text;
  auto choice = format_.delta_choice(event.index, shown);
  if (!choice && extras.has_news()) choice = format_.empty_choice(event.index);
  if (choice) {
    extras.write(*choice);
    add_chunk(std::move(*choice), out);
  }
  if (event.event.finish) add_chunk(format_.closing_choice(event.index, *event.event.finish), out);
}

// RETURNS: the chunks to begin with.
Task<std::string> Answer::wait_until_accepted(GenerationGroup& group) {
  std::string pending;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (auto choice = format_.opening_choice(i)) add_chunk(std::move(*choice), pending);
  }
  while (!progress_.all_accepted()) {
    const std::optional<GroupEvent> event = co_await group.next();
    if (!event) break;
    progress_.apply(*event);
    add_chunks(*event, pending);
  }
  co_return pending;
}

std::string Answer::closing_events() {
  json::object usage = final_usage();
  std::string out;
  if (call_.reply.include_usage) {
    json::object chunk = reply_object(head_, format_.chunk_name());
    chunk["choices"] = json::array();
    chunk["usage"] = std::move(usage);
    out += sse_event(json::serialize(chunk));
  }
  out += kDone;
  return out;
}

Task<void> Answer::stream_rest(GenerationGroup& group, std::string pending) {
  co_await exchange_.write(pending);
  while (std::optional<GroupEvent> event = co_await group.next()) {
    pending.clear();
    while (event) {
      progress_.apply(*event);
      add_chunks(*event, pending);
      if (pending.size() >= kMaxWriteBytes) break;
      event = group.try_next();
    }
    co_await exchange_.write(pending);
  }
  pending = closing_events();
  co_await exchange_.write(pending);
}

Task<void> Answer::stream(GenerationGroup& group) {
  std::string pending = co_await wait_until_accepted(group);
  co_await exchange_.begin_stream("text/event-stream; charset=utf-8");
  std::optional<Error> fault;
  try {
    co_await stream_rest(group, std::move(pending));
  } catch (const Error& error) {
    fault = error;
  }
  if (fault) co_await exchange_.write(sse_event(render_openai_fault(fault_of(*fault))));
  co_await exchange_.end_stream(fault ? StreamEnd::broken : StreamEnd::complete);
}

}  // namespace

Task<void> answer_call(
    const ApiContext& context, Exchange& exchange, Call call, const ReplyFormat& format
) {
  if (context.service.is_draining)
    throw Error(
        ErrorCode::shutting_down, "the server is shutting down; send the request to another"
    );
  for (Request& request : call.requests) {
    request.label = exchange.request().id;
    request.account = exchange.request().owner;
    request.traceparent = exchange.request().traceparent;
    request.scheduling.key = exchange.request().share;
    request.scheduling.key_weight = exchange.request().weight;
  }
  Answer answer(context, exchange, call, format);
  const Executor executor = co_await boost::asio::this_coro::executor;
  GenerationGroup group(
      context, std::move(call.requests), static_cast<int>(call.num_choices), executor
  );
  if (call.reply.is_stream) {
    co_await answer.stream(group);
  } else {
    co_await answer.whole(group);
  }
}

}  // namespace mlxs
