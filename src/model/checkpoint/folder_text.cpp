// Reads the text files of a folder with Transformers' precedence: chat_template.jinja before
// tokenizer_config.json, and generation_config.json before config.json. `do_sample` is left to the
// request, as other servers do.
#include "model/checkpoint/folder_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/json_file.h"
#include "model/checkpoint/text_sources.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{256} << 20;
constexpr std::uint64_t kMaxTemplateBytes = std::uint64_t{4} << 20;
constexpr std::size_t kMaxEosIds = 64;
constexpr std::size_t kMaxNamedTemplates = 64;
constexpr std::array kSpecialTokens = {"bos_token", "eos_token", "unk_token", "pad_token"};

std::int32_t to_token_id(const json::value& value, std::string_view where, std::string_view key) {
  const std::int64_t* number = value.if_int64();
  const auto id = number == nullptr ? std::nullopt : checked_narrow<std::int32_t>(*number);
  if (id && *id >= 0) return *id;
  throw invalid_model(where, "field {} must hold token ids from 0 to 2147483647", key);
}

std::vector<std::int32_t> parse_eos_ids(const json::object& object, std::string_view where) {
  const json::value* value = file_member(object, "eos_token_id");
  if (value == nullptr) return {};
  if (!value->is_array()) return {to_token_id(*value, where, "eos_token_id")};
  const json::array& list = value->get_array();
  if (list.size() > kMaxEosIds) {
    throw invalid_model(where, "{} end-of-sequence ids, the limit is {}", list.size(), kMaxEosIds);
  }
  std::vector<std::int32_t> ids;
  for (const json::value& element : list)
    ids.push_back(to_token_id(element, where, "eos_token_id"));
  return ids;
}

// tokenizer_config.json holds a special token as a string or as {"content": "..."}.
std::optional<std::string> parse_special_token(
    const json::object& object, std::string_view key, std::string_view where
) {
  const json::value* value = file_member(object, key);
  if (value == nullptr) return std::nullopt;
  if (const json::object* token = value->if_object()) return file_string(*token, "content", where);
  return file_string(object, key, where);
}

// "added_tokens_decoder" maps ids to tokens; it is where a folder without eos_token_id still names
// the id.
std::vector<std::int32_t> find_added_token(
    const json::object& object, std::string_view text, std::string_view where
) {
  const json::value* value = file_member(object, "added_tokens_decoder");
  if (value == nullptr) return {};
  if (!value->is_object())
    throw invalid_model(where, "field added_tokens_decoder must be an object");
  std::vector<std::int32_t> ids;
  for (const auto& [key, token] : value->get_object()) {
    const json::object* entry = token.if_object();
    if (entry == nullptr || file_string(*entry, "content", where) != text) continue;
    std::int32_t id = -1;
    const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (ec != std::errc() || end != key.data() + key.size() || id < 0) {
      throw invalid_model(
          where, "added_tokens_decoder has the key {}, no token id", quote_for_message(key)
      );
    }
    ids.push_back(id);
  }
  return ids;
}

class FolderTextReader {
 public:
  FolderTextReader(const fs::path& folder, const json::object& config)
      : folder_(folder), config_(config) {}

  TextSources read() {
    if (const fs::path path = folder_ / "tokenizer.json"; is_present(path)) {
      text_.tokenizer_json = read_text_file(path, kMaxTokenizerBytes);
    }
    if (const fs::path path = folder_ / "tokenizer_config.json"; is_present(path))
      read_tokenizer_config(path);
    read_template_files();
    if (const fs::path path = folder_ / "generation_config.json"; is_present(path))
      read_generation_config(path);
    add_fallback_eos_ids();
    std::sort(text_.eos_ids.begin(), text_.eos_ids.end());
    text_.eos_ids.erase(
        std::unique(text_.eos_ids.begin(), text_.eos_ids.end()), text_.eos_ids.end()
    );
    return std::move(text_);
  }

 private:
  void read_tokenizer_config(const fs::path& path) {
    const std::string where = path.string();
    const json::object object = read_json_object(path);
    for (const char* key : kSpecialTokens) {
      if (auto token = parse_special_token(object, key, where))
        text_.special_tokens[key] = std::move(*token);
    }
    text_.add_bos = file_boolean(object, "add_bos_token", where);
    text_.add_eos = file_boolean(object, "add_eos_token", where);
    if (const auto eos = text_.special_tokens.find("eos_token");
        eos != text_.special_tokens.end()) {
      tokenizer_eos_ids_ = find_added_token(object, eos->second, where);
    }
    if (const json::value* value = file_member(object, "chat_template"))
      add_templates(*value, where);
  }

  // One template, or a list of {"name": ..., "template": ...}.
  void add_templates(const json::value& value, const std::string& where) {
    if (const json::string* text = value.if_string()) {
      set_template("default", std::string(std::string_view(*text)), where);
      return;
    }
    const json::array* list = value.if_array();
    if (list == nullptr)
      throw invalid_model(where, "field chat_template must be a string or a list");
    for (const json::value& element : *list) {
      const json::object* entry = element.if_object();
      if (entry == nullptr)
        throw invalid_model(where, "an element of chat_template must be an object");
      const auto name = file_string(*entry, "name", where);
      auto text = file_string(*entry, "template", where);
      if (!name || !text)
        throw invalid_model(where, "an element of chat_template lacks name or template");
      set_template(*name, std::move(*text), where);
    }
  }

  void set_template(const std::string& name, std::string text, const std::string& where) {
    if (text.size() > kMaxTemplateBytes) {
      throw invalid_model(
          where, "a chat template of {} bytes, the limit is {}", text.size(), kMaxTemplateBytes
      );
    }
    if (text_.named_chat_templates.size() >= kMaxNamedTemplates) {
      throw invalid_model(where, "more than {} chat templates", kMaxNamedTemplates);
    }
    if (name == "default") {
      text_.chat_template = std::move(text);
    } else {
      text_.named_chat_templates[name] = std::move(text);
    }
  }

  void read_template_files() {
    if (const fs::path path = folder_ / "chat_template.jinja"; is_present(path)) {
      set_template("default", read_text_file(path, kMaxTemplateBytes), path.string());
    } else if (const fs::path json_path = folder_ / "chat_template.json";
               text_.chat_template.empty() && is_present(json_path)) {
      const json::object object = read_json_object(json_path);
      if (const json::value* value = file_member(object, "chat_template"))
        add_templates(*value, json_path.string());
    }
    std::error_code ec;
    for (fs::directory_iterator entry(folder_ / "additional_chat_templates", ec), end;
         !ec && entry != end;
         entry.increment(ec)) {
      const fs::path& path = entry->path();
      if (path.extension() != ".jinja") continue;
      set_template(path.stem().string(), read_text_file(path, kMaxTemplateBytes), path.string());
    }
  }

  void read_generation_config(const fs::path& path) {
    const std::string where = path.string();
    const json::object object = read_json_object(path);
    text_.eos_ids = parse_eos_ids(object, where);
    GenerationDefaults& defaults = text_.generation;
    defaults.temperature = number_in(object, "temperature", where, {0.0, 100.0});
    defaults.top_p = number_in(object, "top_p", where, {0.0, 1.0});
    defaults.min_p = number_in(object, "min_p", where, {0.0, 1.0});
    defaults.repetition_penalty = number_in(object, "repetition_penalty", where, {0.0, 100.0});
    if (const auto top_k = file_integer(object, "top_k", where)) {
      defaults.top_k = checked_narrow<int>(*top_k);
      if (!defaults.top_k || *top_k < 0)
        throw invalid_model(where, "top_k is {}, out of range", *top_k);
    }
  }

  struct Range {
    double first;
    double last;
  };

  static std::optional<double> number_in(
      const json::object& object, std::string_view key, std::string_view where, Range range
  ) {
    const auto number = file_number(object, key, where);
    if (!number || (*number >= range.first && *number <= range.last)) return number;
    throw invalid_model(
        where, "{} is {}, it must lie between {} and {}", key, *number, range.first, range.last
    );
  }

  void add_fallback_eos_ids() {
    const std::string where = (folder_ / "config.json").string();
    if (text_.eos_ids.empty()) text_.eos_ids = parse_eos_ids(config_, where);
    const json::value* text_config = file_member(config_, "text_config");
    if (text_.eos_ids.empty() && text_config != nullptr && text_config->is_object()) {
      text_.eos_ids = parse_eos_ids(text_config->get_object(), where);
    }
    if (text_.eos_ids.empty()) text_.eos_ids = tokenizer_eos_ids_;
  }

  const fs::path& folder_;
  const json::object& config_;
  TextSources text_;
  std::vector<std::int32_t> tokenizer_eos_ids_;
};

}  // namespace

TextSources read_folder_text(const fs::path& folder, const json::object& config) {
  return FolderTextReader(folder, config).read();
}

}  // namespace mlxs
