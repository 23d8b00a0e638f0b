// Any bytes as a run of actions on the KV cache: starts, steps, forks, stops and restores of
// sequences over one of several layouts. No page is lost or shared wrongly.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>

#include "cache/page_layout.h"
#include "cache/testing/model_cache.h"

namespace {

const mlxs::CacheLayout& layout(std::size_t index) {
  static const std::array<mlxs::CacheLayout, 5> kLayouts = {{
      {.page_size = 4, .groups = {{.num_pages = 24}}},
      {.page_size = 1, .groups = {{.num_pages = 40}}},
      {.page_size = 4, .groups = {{.num_pages = 30}, {.num_pages = 20, .window = 6}}},
      {.page_size = 4, .groups = {{.num_pages = 24, .window = 9}}},
      {.page_size = 3,
       .groups = {{.num_pages = 20, .window = 1}, {.num_pages = 40}, {.num_pages = 30, .window = 8}}
      },
  }};
  return kLayouts[index % kLayouts.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  std::span<const std::uint8_t> input(bytes, num_bytes);
  const auto choose = [&](std::uint32_t bound) -> std::uint32_t {
    if (input.empty()) return 0;
    const std::uint32_t value = input.front();
    input = input.subspan(1);
    return value % bound;
  };
  mlxs::testing::ModelCache model(layout(choose(256)));
  try {
    while (!input.empty()) {
      model.act(choose);
      model.check();
    }
  } catch (const std::logic_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();
  }
  return 0;
}
