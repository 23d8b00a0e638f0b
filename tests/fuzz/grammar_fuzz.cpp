// Any bytes as a grammar of any kind: it is refused with our own error, or every token that its
// masks allow is taken.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace {

constexpr std::size_t kHeaderBytes = 2;
constexpr int kMaxSteps = 48;
constexpr int kNumKinds = 7;

// Printable ASCII as a byte-level vocabulary, with an end token at id 0.
mlxs::Tokenizer make_tokenizer() {
  std::string vocabulary = R"("</s>":0,"\u0120":1,"\u010a":2)";
  int id = 3;
  for (char character = '!'; character <= '~'; ++character)
    vocabulary +=
        ',' + mlxs::json_quote(std::string_view(&character, 1)) + ':' + std::to_string(id++);
  return mlxs::Tokenizer::from_json(
      R"({"version":"1.0","added_tokens":[{"id":0,"content":"</s>","single_word":false,"lstrip":false,)"
      R"("rstrip":false,"normalized":false,"special":true}],"decoder":{"type":"ByteLevel",)"
      R"("add_prefix_space":false,"trim_offsets":true,"use_regex":true},"model":{"type":"BPE","vocab":{)" +
      vocabulary + R"(},"merges":[]}})"
  );
}

const mlxs::GrammarVocabulary& vocabulary() {
  static const mlxs::Tokenizer kTokenizer = make_tokenizer();
  constexpr std::array<std::int32_t, 1> kEosIds = {0};
  static const mlxs::GrammarVocabulary kVocabulary(kTokenizer, kEosIds);
  return kVocabulary;
}

void follow(mlxs::GrammarMatcher matcher, unsigned seed) {
  std::vector<std::uint32_t> words(vocabulary().num_mask_words());
  for (int step = 0; step < kMaxSteps; ++step) {
    matcher.mask(words);
    std::vector<std::int32_t> allowed;
    for (std::size_t id = 0; id < words.size() * 32; ++id)
      if (((words[id / 32] >> (id % 32)) & 1U) != 0)
        allowed.push_back(static_cast<std::int32_t>(id));
    if (allowed.empty()) std::abort();
    seed = seed * 1664525U + 1013904223U;
    const std::int32_t id = allowed[(seed >> 8U) % allowed.size()];
    if (matcher.is_finished() && id != 0) std::abort();
    mlxs::GrammarMatcher copy = matcher.clone();
    if (!matcher.advance(id)) std::abort();
    if (id == 0) return;
    matcher.rollback(1);
    if (!matcher.advance(id) || !copy.advance(id)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  if (num_bytes < kHeaderBytes) return 0;
  const auto kind = static_cast<mlxs::GrammarKind>(bytes[0] % kNumKinds);
  const std::string text(
      reinterpret_cast<const char*>(bytes) + kHeaderBytes, num_bytes - kHeaderBytes
  );
  try {
    const mlxs::Grammar grammar =
        mlxs::Grammar::compile(vocabulary(), {.kind = kind, .text = text});
    follow(grammar.make_matcher(), bytes[1]);
  } catch (const mlxs::Error& error) {
    if (error.code() == mlxs::ErrorCode::engine_error) std::abort();
  }
  return 0;
}
