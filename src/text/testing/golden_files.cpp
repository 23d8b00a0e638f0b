// The formats are described in tools/golden/text_storage.py and text_default_model.py.
#include "text/testing/golden_files.h"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

namespace mlxs::testing {
namespace {

class Numbers {
 public:
  explicit Numbers(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool is_at_end() const { return bytes_.empty(); }

  std::string_view take(std::size_t num_bytes) {
    if (bytes_.size() < num_bytes) throw std::runtime_error("a golden file is truncated");
    const std::string_view taken = bytes_.substr(0, num_bytes);
    bytes_.remove_prefix(num_bytes);
    return taken;
  }

  std::uint16_t u16() {
    const std::string_view bytes = take(2);
    return static_cast<std::uint16_t>(
        static_cast<unsigned char>(bytes[0]) | static_cast<unsigned char>(bytes[1]) << 8
    );
  }

 private:
  std::string_view bytes_;
};

}  // namespace

std::string read_golden(const std::string& name) {
  std::ifstream file(std::string(MLXS_GOLDEN_DIR) + "/text/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("tests/golden/text/" + name + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

json::value read_golden_json(const std::string& name) { return parse_json(read_golden(name)); }

std::string to_text(const json::value& text) {
  return std::string(std::string_view(text.as_string()));
}

std::vector<std::string> golden_strings() {
  std::vector<std::string> strings;
  const json::value content = read_golden_json("strings.json");
  for (const json::value& text : content.at("strings").as_array()) strings.push_back(to_text(text));
  return strings;
}

std::vector<std::int32_t> to_ids(const json::value& list) {
  std::vector<std::int32_t> ids;
  for (const json::value& id : list.as_array()) ids.push_back(id.to_number<std::int32_t>());
  return ids;
}

std::vector<std::vector<std::int32_t>> read_golden_ids(const std::string& name) {
  const std::string bytes = read_golden(name);
  Numbers numbers(bytes);
  std::vector<std::vector<std::int32_t>> lists;
  while (!numbers.is_at_end()) {
    std::vector<std::int32_t>& ids = lists.emplace_back(numbers.u16());
    for (std::int32_t& id : ids) id = numbers.u16();
  }
  return lists;
}

GgufVocabulary read_smollm2_vocabulary() {
  const std::string bytes = read_golden("smollm2.vocabulary");
  const json::value content = read_golden_json("smollm2.json");
  Numbers numbers(bytes);
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = to_text(content.at("pre"));
  const std::size_t num_base = numbers.u16();
  for (std::size_t i = 0; i < num_base; ++i)
    vocabulary.tokens.emplace_back(numbers.take(numbers.u16()));
  while (!numbers.is_at_end()) {
    const std::string left = vocabulary.tokens.at(numbers.u16());
    const std::string right = vocabulary.tokens.at(numbers.u16());
    vocabulary.merges.push_back(left + ' ' + right);
    vocabulary.tokens.push_back(left + right);
  }
  vocabulary.token_types.assign(vocabulary.tokens.size(), 1);
  for (const std::int32_t id : to_ids(content.at("control_ids")))
    vocabulary.token_types.at(static_cast<std::size_t>(id)) = 3;
  vocabulary.bos_id = content.at("bos_id").to_number<std::int32_t>();
  vocabulary.eos_id = content.at("eos_id").to_number<std::int32_t>();
  vocabulary.add_bos = false;
  vocabulary.add_space_prefix = false;
  return vocabulary;
}

}  // namespace mlxs::testing
