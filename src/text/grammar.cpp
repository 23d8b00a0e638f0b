// Hands everything to the Rust library, and gives its failures the project's codes.
#include "text/grammar.h"

#include <mlxs_text_ffi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/error.h"
#include "text/rust_border.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

// A compiled grammar's own structures, whatever its text.
constexpr std::size_t kBaseBytes = std::size_t{256} << 10;
constexpr std::size_t kBytesPerTextByte = 256;

MlxsGrammarKind to_rust(GrammarKind kind) {
  switch (kind) {
    case GrammarKind::json_schema:
      return MlxsGrammarKind_JsonSchema;
    case GrammarKind::json_object:
      return MlxsGrammarKind_JsonObject;
    case GrammarKind::regex:
      return MlxsGrammarKind_Regex;
    case GrammarKind::choice:
      return MlxsGrammarKind_Choice;
    case GrammarKind::lark:
      return MlxsGrammarKind_Lark;
    case GrammarKind::structural_tag:
      return MlxsGrammarKind_StructuralTag;
    case GrammarKind::gbnf:
      return MlxsGrammarKind_Gbnf;
  }
  throw std::logic_error("a grammar of an unknown kind");
}

// A grammar is the request's, so that whatever is wrong with it is the request's, too.
void check_grammar_status(MlxsStatus status, const RustBuffer& message) {
  const std::string text(message.view());
  switch (status) {
    case MlxsStatus_InvalidArgument:
    case MlxsStatus_LimitExceeded:
      throw Error(ErrorCode::invalid_value, text);
    case MlxsStatus_Unsupported:
      throw Error(ErrorCode::unsupported, text);
    default:
      check_status(status, message);
  }
}

}  // namespace

void GrammarVocabulary::Free::operator()(MlxsGrammarVocabulary* handle) const {
  mlxs_grammar_vocabulary_free(handle);
}

void Grammar::Free::operator()(MlxsGrammar* handle) const { mlxs_grammar_free(handle); }

void GrammarMatcher::Free::operator()(MlxsMatcher* handle) const { mlxs_matcher_free(handle); }

GrammarVocabulary::GrammarVocabulary(
    const Tokenizer& tokenizer, std::span<const std::int32_t> eos_ids
)
    : num_mask_words_((static_cast<std::size_t>(tokenizer.vocab_size()) + 31) / 32) {
  MlxsGrammarVocabulary* handle = nullptr;
  RustBuffer message;
  const MlxsStatus status = mlxs_grammar_vocabulary_new(
      tokenizer.handle(), eos_ids.data(), eos_ids.size(), &handle, message.out()
  );
  if (status == MlxsStatus_InvalidArgument)
    throw Error(ErrorCode::invalid_config, std::string(message.view()));
  check_status(status, message);
  handle_.reset(handle);
}

Grammar Grammar::compile(const GrammarVocabulary& vocabulary, const GrammarSpec& spec) {
  MlxsGrammar* handle = nullptr;
  RustBuffer message;
  const MlxsStatus status = mlxs_grammar_compile(
      vocabulary.handle(), to_rust(spec.kind), to_slice(spec.text), &handle, message.out()
  );
  check_grammar_status(status, message);
  return Grammar(handle, kBaseBytes + kBytesPerTextByte * spec.text.size());
}

GrammarMatcher Grammar::make_matcher() const {
  MlxsMatcher* handle = nullptr;
  RustBuffer message;
  check_status(mlxs_matcher_new(handle_.get(), &handle, message.out()), message);
  return GrammarMatcher(handle);
}

void GrammarMatcher::mask(std::span<std::uint32_t> words) {
  RustBuffer message;
  check_grammar_status(
      mlxs_matcher_mask(handle_.get(), words.data(), words.size(), message.out()), message
  );
}

bool GrammarMatcher::advance(std::int32_t id) {
  bool is_taken = false;
  RustBuffer message;
  check_grammar_status(mlxs_matcher_advance(handle_.get(), id, &is_taken, message.out()), message);
  return is_taken;
}

bool GrammarMatcher::may_stop() const {
  MlxsMatcherState state{};
  RustBuffer message;
  check_status(mlxs_matcher_state(handle_.get(), &state, message.out()), message);
  return state.may_stop;
}

bool GrammarMatcher::is_finished() const {
  MlxsMatcherState state{};
  RustBuffer message;
  check_status(mlxs_matcher_state(handle_.get(), &state, message.out()), message);
  return state.is_finished;
}

std::vector<std::int32_t> GrammarMatcher::forced_tokens() {
  RustIds ids;
  RustBuffer message;
  check_status(mlxs_matcher_forced(handle_.get(), ids.out(), message.out()), message);
  return {ids.view().begin(), ids.view().end()};
}

GrammarMatcher GrammarMatcher::clone() const {
  MlxsMatcher* handle = nullptr;
  RustBuffer message;
  check_status(mlxs_matcher_clone(handle_.get(), &handle, message.out()), message);
  return GrammarMatcher(handle);
}

void GrammarMatcher::rollback(int num_tokens) {
  if (num_tokens < 0) throw std::logic_error("a rollback of less than no token");
  RustBuffer message;
  const MlxsStatus status =
      mlxs_matcher_rollback(handle_.get(), static_cast<std::size_t>(num_tokens), message.out());
  if (status == MlxsStatus_InvalidArgument) throw std::logic_error(std::string(message.view()));
  check_status(status, message);
}

std::string check_schema(const GrammarVocabulary& vocabulary, std::string_view schema) {
  RustBuffer report;
  RustBuffer message;
  check_grammar_status(
      mlxs_schema_check(vocabulary.handle(), to_slice(schema), report.out(), message.out()), message
  );
  return std::string(report.view());
}

}  // namespace mlxs
