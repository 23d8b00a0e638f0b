// Asks a fake engine, and knows what it must answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs::testing {

// What a reader of one request got.
struct Answer {
  int prompt_tokens = -1;  // -1: it was not accepted
  std::string text = {};
  std::vector<std::int32_t> token_ids = {};
  Finish finish = {};
};

// RETURNS: a greedy request for the bytes of `text`.
[[nodiscard]] Request text_request(std::string_view text, int max_tokens);

// RETURNS: what FakeRunner's model says after `prompt`.
[[nodiscard]] std::string expected_text(
    std::string_view prompt, int num_tokens, std::uint64_t seed = 0
);

// Waits for the end.
[[nodiscard]] Answer read_all(Generation& generation);
[[nodiscard]] Answer ask(Engine& engine, Request request);

// RETURNS: whether nothing runs or waits, and every page is free or cached.
[[nodiscard]] bool is_idle(const Engine& engine);

}  // namespace mlxs::testing
