// A byte-level BPE without merges, in the form of a tokenizer.json.
#include "engine/testing/fake_engine.h"

#include <spdlog/fmt/fmt.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "engine/engine_parts.h"
#include "engine/runner.h"
#include "engine/testing/fake_runner.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

constexpr std::string_view kTemplate =
    "{% for message in messages %}{% if message.role == 'raise' %}{{ "
    "raise_exception(message.content) }}{% endif %}"
    "<|role|>{{ message.role }}:{{ message.content }}<|turn|>{% endfor %}"
    "{% if add_generation_prompt %}<|role|>assistant:{% endif %}";

// GPT-2's printable stand-in for a byte, as UTF-8: printable Latin-1 stands for itself, the rest
// lies from U+0100 on.
std::string byte_symbol(int byte) {
  const auto is_printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  int code = byte;
  if (!is_printable(byte)) {
    code = 256;
    for (int other = 0; other < byte; ++other) code += is_printable(other) ? 0 : 1;
  }
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

std::string tokenizer_json() {
  json::object vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_symbol(byte)] = byte;
  json::array added;
  int id = 256;
  for (const char* text : {"<|end|>", "<|role|>", "<|turn|>"}) {
    added.push_back(
        {{"id", id++},
         {"content", text},
         {"special", true},
         {"single_word", false},
         {"lstrip", false},
         {"rstrip", false},
         {"normalized", false}}
    );
  }
  const json::value byte_level = {
      {"type", "ByteLevel"},
      {"add_prefix_space", false},
      {"trim_offsets", false},
      {"use_regex", false}
  };
  return json::serialize(json::value{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", vocabulary},
        {"merges", json::array{}}}},
  });
}

}  // namespace

Tokenizer make_byte_tokenizer() { return Tokenizer::from_json(tokenizer_json()); }

std::unique_ptr<Engine> make_fake_engine(const FakeEngineOptions& options) {
  EngineParts parts;
  parts.info = {
      .name = options.name,
      .family = "fake",
      .quantization = "none",
      .vocab_size = 259,
      .context_length = options.context_length,
      .has_chat_template = true
  };
  const std::string source =
      options.chat_template.empty() ? std::string(kTemplate) : options.chat_template;
  TextModel text{
      .tokenizer = make_byte_tokenizer(),
      .chat_template = ChatTemplate(source, {}),
      .eos_ids = {options.runner.eos_id}
  };
  read_formats(source, text);
  text.grammars = std::make_unique<Grammars>(text.tokenizer, text.eos_ids);
  parts.text = std::make_shared<const TextModel>(std::move(text));
  parts.scheduler = options.scheduler;
  parts.scheduler.max_sequences = options.max_sequences;
  parts.scheduler.step_tokens = options.step_tokens;
  parts.scheduler.cache = options.runner.layout();
  parts.ring = options.ring;
  parts.make_disk_tier = options.make_disk_tier;
  parts.max_queue = options.max_queue;
  parts.make_runner = [runner = options.runner,
                       wrap = options.wrap_runner]() -> std::unique_ptr<Runner> {
    std::unique_ptr<Runner> fake = std::make_unique<FakeRunner>(runner);
    return wrap ? wrap(std::move(fake)) : std::move(fake);
  };
  return std::make_unique<Engine>(std::move(parts));
}

}  // namespace mlxs
