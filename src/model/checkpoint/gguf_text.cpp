// Reads tokenizer.* and general.sampling.* keys. It decides nothing about how text becomes tokens.
#include "model/checkpoint/gguf_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/text_sources.h"
#include "text/gguf_vocabulary.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxTokenBytes = std::size_t{64} << 10;
constexpr std::int32_t kControlToken = 3;

// Control tokens that end a turn. Files made before eot_token_id existed name only the end of the
// text.
constexpr std::array<std::string_view, 5> kEndOfTurn = {
    "<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|eom_id|>"
};

class GgufTextReader {
 public:
  explicit GgufTextReader(const GgufMetadata& metadata) : metadata_(metadata) {}

  TextSources read() {
    read_vocabulary();
    read_templates();
    read_sampling();
    return std::move(text_);
  }

 private:
  void read_vocabulary() {
    auto model = metadata_.string("tokenizer.ggml.model");
    auto tokens = metadata_.strings("tokenizer.ggml.tokens");
    if (!model && !tokens) return;
    if (!model || !tokens || tokens->empty()) {
      throw invalid_model(
          metadata_.file(),
          "tokenizer.ggml.model and tokenizer.ggml.tokens must both be there and not be empty"
      );
    }
    GgufVocabulary& vocabulary = vocabulary_;
    vocabulary.model = std::move(*model);
    vocabulary.pre = metadata_.string("tokenizer.ggml.pre").value_or("");
    vocabulary.tokens = std::move(*tokens);
    check_token_lengths();
    vocabulary.scores = metadata_.floats("tokenizer.ggml.scores").value_or(std::vector<float>());
    vocabulary.token_types =
        metadata_.int32s("tokenizer.ggml.token_type").value_or(std::vector<std::int32_t>());
    check_length("tokenizer.ggml.scores", vocabulary.scores.size());
    check_length("tokenizer.ggml.token_type", vocabulary.token_types.size());
    vocabulary.merges =
        metadata_.strings("tokenizer.ggml.merges").value_or(std::vector<std::string>());
    vocabulary.bos_id = token_id("tokenizer.ggml.bos_token_id");
    vocabulary.eos_id = token_id("tokenizer.ggml.eos_token_id");
    vocabulary.unk_id = token_id("tokenizer.ggml.unknown_token_id");
    vocabulary.pad_id = token_id("tokenizer.ggml.padding_token_id");
    vocabulary.add_bos = metadata_.boolean("tokenizer.ggml.add_bos_token");
    vocabulary.add_eos = metadata_.boolean("tokenizer.ggml.add_eos_token");
    vocabulary.add_space_prefix = metadata_.boolean("tokenizer.ggml.add_space_prefix");
    vocabulary.remove_extra_whitespaces =
        metadata_.boolean("tokenizer.ggml.remove_extra_whitespaces");
    vocabulary.precompiled_charsmap = metadata_.bytes("tokenizer.ggml.precompiled_charsmap")
                                          .value_or(std::vector<std::uint8_t>());
    add_special_tokens();
    collect_eos_ids();
    text_.add_bos = vocabulary.add_bos;
    text_.add_eos = vocabulary.add_eos;
    text_.vocabulary = std::move(vocabulary_);
  }

  void check_token_lengths() const {
    for (const std::string& token : vocabulary_.tokens) {
      if (token.size() <= kMaxTokenBytes) continue;
      throw invalid_model(
          metadata_.file(),
          "a token of {} bytes in tokenizer.ggml.tokens, the limit is {}",
          token.size(),
          kMaxTokenBytes
      );
    }
  }

  void check_length(std::string_view key, std::size_t length) const {
    if (length == 0 || length == vocabulary_.tokens.size()) return;
    throw invalid_model(
        metadata_.file(),
        "key {} has {} elements for {} tokens",
        key,
        length,
        vocabulary_.tokens.size()
    );
  }

  // Converters write 2^32 - 1 for "none".
  [[nodiscard]] std::optional<std::int32_t> token_id(std::string_view key) const {
    const auto number = metadata_.unsigned_integer(key);
    if (!number || *number == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    if (*number < vocabulary_.tokens.size()) return checked_narrow<std::int32_t>(*number);
    throw invalid_model(
        metadata_.file(),
        "key {} is {}, there are {} tokens",
        key,
        *number,
        vocabulary_.tokens.size()
    );
  }

  void add_special_tokens() {
    const auto add = [&](const char* name, const std::optional<std::int32_t>& id) {
      if (id) text_.special_tokens[name] = vocabulary_.tokens[static_cast<std::size_t>(*id)];
    };
    add("bos_token", vocabulary_.bos_id);
    add("eos_token", vocabulary_.eos_id);
    add("unk_token", vocabulary_.unk_id);
    add("pad_token", vocabulary_.pad_id);
  }

  void collect_eos_ids() {
    std::vector<std::int32_t>& ids = text_.eos_ids;
    if (vocabulary_.eos_id) ids.push_back(*vocabulary_.eos_id);
    for (const std::string_view key :
         {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      if (const auto id = token_id(key)) ids.push_back(*id);
    }
    for (std::size_t i = 0; i < vocabulary_.token_types.size(); ++i) {
      if (vocabulary_.token_types[i] != kControlToken) continue;
      const std::string& token = vocabulary_.tokens[i];
      if (std::find(kEndOfTurn.begin(), kEndOfTurn.end(), token) == kEndOfTurn.end()) continue;
      ids.push_back(static_cast<std::int32_t>(i));  // fewer than 2^21 tokens
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }

  void read_templates() {
    constexpr std::string_view kPrefix = "tokenizer.chat_template.";
    text_.chat_template = metadata_.string("tokenizer.chat_template").value_or("");
    for (const auto& [key, value] : metadata_.values()) {
      if (!key.starts_with(kPrefix)) continue;
      text_.named_chat_templates[key.substr(kPrefix.size())] = metadata_.string(key).value_or("");
    }
  }

  void read_sampling() {
    GenerationDefaults& defaults = text_.generation;
    defaults.temperature = in_range("general.sampling.temp", 100.0);
    defaults.top_p = in_range("general.sampling.top_p", 1.0);
    defaults.min_p = in_range("general.sampling.min_p", 1.0);
    defaults.repetition_penalty = in_range("general.sampling.penalty_repeat", 100.0);
    defaults.top_k = metadata_.int32("general.sampling.top_k");
  }

  [[nodiscard]] std::optional<double> in_range(std::string_view key, double last) const {
    const auto number = metadata_.number(key);
    if (!number || (*number >= 0.0 && *number <= last)) return number;
    throw invalid_model(
        metadata_.file(), "key {} is {}, it must lie between 0 and {}", key, *number, last
    );
  }

  const GgufMetadata& metadata_;
  GgufVocabulary vocabulary_;
  TextSources text_;
};

}  // namespace

TextSources read_gguf_text(const GgufMetadata& metadata) { return GgufTextReader(metadata).read(); }

}  // namespace mlxs
