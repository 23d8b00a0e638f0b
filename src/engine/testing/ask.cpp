// The reader's side of the tests.
#include "engine/testing/ask.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/testing/fake_runner.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs::testing {
namespace {

std::vector<std::int32_t> ids_of(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace

Request text_request(std::string_view text, int max_tokens) {
  Request request;
  request.prompt = ids_of(text);
  request.sampling.temperature = 0.0F;
  request.stop.max_tokens = max_tokens;
  return request;
}

std::string expected_text(std::string_view prompt, int num_tokens, std::uint64_t seed) {
  auto ids = ids_of(prompt);
  std::string text;
  for (int i = 0; i < num_tokens; ++i) {
    ids.push_back(FakeRunner::next_token(ids, seed));
    text.push_back(static_cast<char>(ids.back()));
  }
  return text;
}

Answer read_all(Generation& generation) {
  Answer answer;
  while (auto event = generation.next()) {
    if (event->prompt_tokens) answer.prompt_tokens = *event->prompt_tokens;
    answer.text += event->text;
    answer.token_ids.insert(
        answer.token_ids.end(), event->token_ids.begin(), event->token_ids.end()
    );
    if (event->finish) answer.finish = *event->finish;
  }
  return answer;
}

Answer ask(Engine& engine, Request request) {
  Generation generation = engine.submit(std::move(request));
  return read_all(generation);
}

bool is_idle(const Engine& engine) {
  const EngineStats stats = engine.stats();
  return stats.num_running == 0 && stats.num_waiting == 0 &&
         stats.num_free_pages + stats.num_cached_pages == stats.num_pages;
}

}  // namespace mlxs::testing
