// The text of one request as it grows: detokenized, cut before the first stop string, and never
// showing text that may still turn out to belong to one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace mlxs {

struct OutputTextOptions {
  DecodeOptions decode = {};
  std::vector<std::string> stop = {};  // none of them empty
  bool includes_stop = false;          // the text ends behind the stop string, not before it
  int min_tokens = 0;                  // before so many, stop strings are text like any other
};

// Thread safety: none.
class OutputText {
 public:
  // REQUIRES: `tokenizer` outlives this.
  OutputText(const Tokenizer& tokenizer, OutputTextOptions options);

  // RETURNS: the text that may be shown now. After it found a stop string (is_stopped()), nothing
  // more comes.
  [[nodiscard]] std::string append(std::int32_t token_id);

  // RETURNS: what was held back; the sequence ended without a stop string.
  [[nodiscard]] std::string finish();

  [[nodiscard]] bool is_stopped() const { return is_stopped_; }
  // RETURNS: the stop string that was found; empty where none was.
  [[nodiscard]] const std::string& stopped_by() const { return stopped_by_; }

 private:
  [[nodiscard]] std::string release();

  Detokenizer detokenizer_;
  OutputTextOptions options_;
  int num_tokens_ = 0;
  std::string held_;  // the longest tail that may begin a stop string
  bool is_stopped_ = false;
  std::string stopped_by_;
};

}  // namespace mlxs
