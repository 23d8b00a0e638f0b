// Constraints on a model's output: grammars compiled for one vocabulary, and matchers that tell
// which tokens may come next. What cannot be kept to is refused when the grammar is compiled;
// nothing is ever left out in silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

struct MlxsGrammar;
struct MlxsGrammarVocabulary;
struct MlxsMatcher;

namespace mlxs {

// How the text of a grammar is written.
enum class GrammarKind {
  json_schema,     // a JSON schema
  json_object,     // any JSON object; the text is empty
  regex,           // a regular expression that the whole output matches
  choice,          // a JSON list of strings, of which the output is one
  lark,            // llguidance's Lark
  structural_tag,  // tagged parts within free text, in vLLM's JSON (`structures` and `triggers`, or
                   // `format`)
  gbnf,            // llama.cpp's
};

struct GrammarSpec {
  GrammarKind kind = GrammarKind::json_object;
  std::string text = {};

  friend bool operator==(const GrammarSpec&, const GrammarSpec&) = default;
};

// A tokenizer's vocabulary prepared for grammars; one for each model. Making it takes some 100 ms.
// Thread safety: all members may be called from any thread at once.
class GrammarVocabulary {
 public:
  // `eos_ids` are the tokens that end an output.
  // ERRORS: invalid_config when there are none, or one that the vocabulary does not have.
  GrammarVocabulary(const Tokenizer& tokenizer, std::span<const std::int32_t> eos_ids);

  // RETURNS: the words of a mask: bits for ids 0 to vocab_size() - 1.
  [[nodiscard]] std::size_t num_mask_words() const { return num_mask_words_; }

  [[nodiscard]] const MlxsGrammarVocabulary* handle() const { return handle_.get(); }

 private:
  struct Free {
    void operator()(MlxsGrammarVocabulary* handle) const;
  };

  std::unique_ptr<MlxsGrammarVocabulary, Free> handle_;
  std::size_t num_mask_words_ = 0;
};

// The way of one output through a grammar.
// Thread safety: none; but any thread may use it while no other does, and matchers share nothing
// that changes.
class GrammarMatcher {
 public:
  // Writes a bit for each token that may come next: id i is bit i % 32 of word i / 32. Words beyond
  // the vocabulary's become zero, so that a model's padding is never sampled. Takes from 10 us to
  // some ms: meant for a worker thread. REQUIRES: at least num_mask_words() words. ERRORS:
  // invalid_value when the grammar has become too complex for this output, which then has to end.
  void mask(std::span<std::uint32_t> words);

  // Takes a token. RETURNS: whether it may come; when not, nothing has changed.
  // ERRORS: as mask().
  [[nodiscard]] bool advance(std::int32_t id);

  // RETURNS: whether the output may end here.
  [[nodiscard]] bool may_stop() const;

  // RETURNS: whether nothing but an end token may come.
  [[nodiscard]] bool is_finished() const;

  // RETURNS: the tokens that must come next, as the tokenizer writes them; they are not taken. May
  // be empty even where only one token is possible.
  [[nodiscard]] std::vector<std::int32_t> forced_tokens();

  // RETURNS: a matcher that stands here and goes its own way.
  [[nodiscard]] GrammarMatcher clone() const;

  // Takes back the last `num_tokens` tokens that advance() took.
  // REQUIRES: as many were taken.
  void rollback(int num_tokens);

 private:
  friend class Grammar;
  struct Free {
    void operator()(MlxsMatcher* handle) const;
  };

  explicit GrammarMatcher(MlxsMatcher* handle) : handle_(handle) {}

  std::unique_ptr<MlxsMatcher, Free> handle_;
};

// Thread safety: all members may be called from any thread at once.
class Grammar {
 public:
  // Takes from 1 ms to the limit of 2 s, on a thread of its own: not for the engine's thread.
  // ERRORS: invalid_value for a text that is malformed, that nothing satisfies, or that runs over
  // the limits of size, depth, memory or time; unsupported, which names the keyword or construct
  // and its place.
  [[nodiscard]] static Grammar compile(
      const GrammarVocabulary& vocabulary, const GrammarSpec& spec
  );

  [[nodiscard]] GrammarMatcher make_matcher() const;

  // RETURNS: about what it takes in memory; for caches.
  [[nodiscard]] std::size_t num_bytes() const { return num_bytes_; }

 private:
  struct Free {
    void operator()(MlxsGrammar* handle) const;
  };

  explicit Grammar(MlxsGrammar* handle, std::size_t num_bytes)
      : handle_(handle), num_bytes_(num_bytes) {}

  std::unique_ptr<MlxsGrammar, Free> handle_;
  std::size_t num_bytes_ = 0;
};

// What is known of a schema without a model. JSON: `supported`, `compile_ms`, and `example` (an
// instance, or null when none of moderate length was found) or `error` and `error_kind`
// ("unsupported", "invalid", "limit").
[[nodiscard]] std::string check_schema(
    const GrammarVocabulary& vocabulary, std::string_view schema
);

}  // namespace mlxs
