// One request through the engine's public face.
#include "cli/answer.h"

#include <spdlog/fmt/fmt.h>

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/interrupts.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {
namespace {

double per_second(int count, double ms) {
  return count > 0 && ms > 0.0 ? count * 1000.0 / ms : 0.0;
}

}  // namespace

std::string messages_json(const std::vector<ChatMessage>& messages) {
  json::array array;
  for (const ChatMessage& message : messages) {
    array.push_back(json::object{{"role", message.role}, {"content", message.content}});
  }
  return json::serialize(array);
}

void check_utf8(std::string_view text, std::string_view what) {
  try {
    // The strict reader of JSON has the one check of UTF-8.
    (void)parse_json(json_quote(text));
  } catch (const Error&) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} is not valid UTF-8; convert it, e.g. with iconv", what)
    );
  }
}

FullAnswer ask(
    Engine& engine,
    Request request,
    Interrupts& interrupts,
    const std::function<bool(std::string_view)>& on_text
) {
  FullAnswer answer;
  std::atomic<int> signal = 0;
  Generation generation = engine.submit(std::move(request));
  const auto listener = interrupts.listen([&generation, &signal](int number) {
    if (signal.exchange(number) != 0) Interrupts::end_process(number);
    generation.cancel();
  });
  while (auto event = generation.next()) {
    if (event->prompt_tokens) answer.num_prompt_tokens = *event->prompt_tokens;
    answer.token_ids.insert(
        answer.token_ids.end(), event->token_ids.begin(), event->token_ids.end()
    );
    answer.text += event->text;
    if (!event->text.empty() && !on_text(event->text)) generation.cancel();
    if (event->finish) answer.finish = *std::move(event->finish);
  }
  if (answer.finish.error) throw Error(*answer.finish.error);
  if (answer.finish.reason == FinishReason::cancelled) answer.signal = signal;
  return answer;
}

double prefill_tokens_per_second(const FullAnswer& answer) {
  return per_second(
      answer.num_prompt_tokens - answer.finish.usage.cached_tokens, answer.finish.timings.prefill_ms
  );
}

double decode_tokens_per_second(const FullAnswer& answer) {
  return per_second(answer.finish.usage.completion_tokens - 1, answer.finish.timings.decode_ms);
}

std::string describe_speed(const FullAnswer& answer) {
  const Timings& timings = answer.finish.timings;
  return fmt::format(
      "{} prompt tokens, {} tokens, first after {:.2f} s, then {:.1f} token/s",
      answer.num_prompt_tokens,
      answer.finish.usage.completion_tokens,
      (timings.queue_ms + timings.prefill_ms) / 1000.0,
      decode_tokens_per_second(answer)
  );
}

}  // namespace mlxs
