// Hands everything to the Rust library; nothing is decided here but the order of prefix, text and
// suffix.
#include "text/tokenizer.h"

#include <mlxs_text_ffi.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/error.h"
#include "text/detokenizer.h"
#include "text/gguf_vocabulary.h"
#include "text/rust_border.h"
#include "text/utf8_assembler.h"

namespace mlxs {
namespace {

std::vector<MlxsSlice> to_slices(const std::vector<std::string>& texts) {
  std::vector<MlxsSlice> slices;
  slices.reserve(texts.size());
  for (const std::string& text : texts) slices.push_back(to_slice(text));
  return slices;
}

InvalidBytes to_invalid_bytes(MlxsInvalidBytes value) {
  return value == MlxsInvalidBytes_ReplaceBytes ? InvalidBytes::replace_bytes
                                                : InvalidBytes::replace_parts;
}

LeadingSpace to_leading_space(MlxsLeading value) {
  switch (value) {
    case MlxsLeading_OneSpace:
      return LeadingSpace::one_removed;
    case MlxsLeading_FirstTokenSpaces:
      return LeadingSpace::removed_from_first_token;
    case MlxsLeading_Nothing:
      break;
  }
  return LeadingSpace::kept;
}

}  // namespace

void Tokenizer::Free::operator()(MlxsTokenizer* handle) const { mlxs_tokenizer_free(handle); }

Tokenizer::Tokenizer(MlxsTokenizer* handle) : handle_(handle) {
  MlxsTokenizerInfo info{};
  check_status(mlxs_tokenizer_info(handle, &info), RustBuffer());
  vocab_size_ = static_cast<int>(info.num_ids);  // the library allows fewer than 2^23 ids
  decode_style_ = {
      .invalid_bytes = to_invalid_bytes(info.invalid_bytes),
      .leading_space = to_leading_space(info.leading)
  };
  prefix_ = {info.prefix, info.num_prefix};
  suffix_ = {info.suffix, info.num_suffix};
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json) {
  MlxsTokenizer* handle = nullptr;
  RustBuffer message;
  const MlxsStatus status =
      mlxs_tokenizer_from_json(to_slice(tokenizer_json), &handle, message.out());
  if (status == MlxsStatus_InvalidArgument)
    throw Error(ErrorCode::invalid_model, std::string(message.view()));
  check_status(status, message);
  return Tokenizer(handle);
}

Tokenizer Tokenizer::from_vocabulary(const GgufVocabulary& vocabulary) {
  const std::vector<MlxsSlice> tokens = to_slices(vocabulary.tokens);
  const std::vector<MlxsSlice> merges = to_slices(vocabulary.merges);
  const auto to_flag = [](std::optional<bool> flag) {
    return flag ? static_cast<std::int32_t>(*flag) : -1;
  };
  const MlxsVocabulary view = {
      .model = to_slice(vocabulary.model),
      .pre = to_slice(vocabulary.pre),
      .tokens = tokens.data(),
      .num_tokens = tokens.size(),
      .scores = vocabulary.scores.data(),
      .num_scores = vocabulary.scores.size(),
      .token_types = vocabulary.token_types.data(),
      .num_token_types = vocabulary.token_types.size(),
      .merges = merges.data(),
      .num_merges = merges.size(),
      .bos_id = vocabulary.bos_id.value_or(-1),
      .eos_id = vocabulary.eos_id.value_or(-1),
      .unk_id = vocabulary.unk_id.value_or(-1),
      .add_bos = to_flag(vocabulary.add_bos),
      .add_eos = to_flag(vocabulary.add_eos),
      .add_space_prefix = to_flag(vocabulary.add_space_prefix),
      .remove_extra_whitespaces = to_flag(vocabulary.remove_extra_whitespaces),
      .has_charsmap = !vocabulary.precompiled_charsmap.empty(),
  };
  MlxsTokenizer* handle = nullptr;
  RustBuffer message;
  const MlxsStatus status = mlxs_tokenizer_from_vocabulary(&view, &handle, message.out());
  if (status == MlxsStatus_InvalidArgument)
    throw Error(ErrorCode::invalid_model, std::string(message.view()));
  check_status(status, message);
  return Tokenizer(handle);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options)
    const {
  RustIds ids;
  RustBuffer message;
  const bool parses_special = options.special_tokens == SpecialTokensInText::parsed;
  check_status(
      mlxs_tokenizer_encode(
          handle_.get(), to_slice(text), parses_special, ids.out(), message.out()
      ),
      message
  );
  std::vector<std::int32_t> result;
  const bool adds_special = options.add_special_tokens == AddSpecialTokens::yes;
  if (adds_special) result.assign(prefix_.begin(), prefix_.end());
  result.insert(result.end(), ids.view().begin(), ids.view().end());
  if (adds_special) result.insert(result.end(), suffix_.begin(), suffix_.end());
  return result;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, const DecodeOptions& options)
    const {
  Detokenizer detokenizer(*this, options);
  std::string text;
  for (const std::int32_t id : ids) text += detokenizer.append(id);
  return text + detokenizer.finish();
}

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const std::int32_t id = mlxs_tokenizer_token_id(handle_.get(), to_slice(token));
  return id < 0 ? std::nullopt : std::optional(id);
}

std::string_view Tokenizer::id_to_bytes(std::int32_t id) const {
  return to_view(mlxs_tokenizer_piece(handle_.get(), id).bytes);
}

bool Tokenizer::is_known(std::int32_t id) const {
  return mlxs_tokenizer_piece(handle_.get(), id).is_known;
}

bool Tokenizer::is_special(std::int32_t id) const {
  return mlxs_tokenizer_piece(handle_.get(), id).is_special;
}

}  // namespace mlxs
