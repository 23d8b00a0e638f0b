// Opening folders and files: shards and their index, quantized modules, text files, and everything
// that is not a plain file where one is needed.
#include "model/checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/tensor_info.h"
#include "model/checkpoint/testing/gguf_writer.h"
#include "model/checkpoint/testing/hostile_files.h"
#include "model/checkpoint/testing/safetensors_writer.h"
#include "model/checkpoint/text_sources.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

using testing::SafetensorsSpec;
using testing::write_safetensors;

constexpr const char* kConfig =
    R"({"model_type":"llama","quantization":{"bits":4,"group_size":64}})";

class CheckpointFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("mlxs_checkpoint_") + test->name() + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("config.json", kConfig);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& contents) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << contents;
  }

  void write_model() const {
    write("model.safetensors", write_safetensors(testing::small_safetensors()));
  }

  // Two shards with one tensor each, and an index with this weight_map.
  void write_shards(const std::string& weight_map) const {
    write("model-1.safetensors", write_safetensors({{"a", "F32", {2}, 8}}));
    write("model-2.safetensors", write_safetensors({{"b", "F16", {4}, 8}}));
    write(
        "model.safetensors.index.json",
        R"({"metadata":{"total_size":16},"weight_map":)" + weight_map + "}"
    );
  }

  // RETURNS: the message of the error that opening throws; empty when it succeeds.
  [[nodiscard]] std::string refusal() const { return refusal_of(folder_); }
  [[nodiscard]] static std::string refusal_of(const fs::path& path) {
    std::string message;
    (void)testing::expect_sound(path.string(), [&] {
      try {
        (void)Checkpoint::open(path);
      } catch (const Error& error) {
        message = error.what();
        throw;
      }
    });
    return message;
  }

  fs::path folder_;
};

void expect_part(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos)
      << "message: '" << message << "', expected: '" << part << "'";
}

TEST_F(CheckpointFolder, SingleFile) {
  write_model();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  EXPECT_EQ(checkpoint.format(), Checkpoint::Format::safetensors);
  EXPECT_EQ(checkpoint.config().at("model_type"), "llama");
  EXPECT_EQ(checkpoint.tensors().size(), 7U);
  EXPECT_EQ(checkpoint.total_tensor_bytes(), 2048U + 128 + 3072 + 192 + 192 + 8);
  EXPECT_EQ(checkpoint.find("absent"), nullptr);
  EXPECT_THROW((void)checkpoint.at("absent"), Error);
  const TensorInfo& norm = checkpoint.at("model.norm.weight");
  std::vector<std::byte> buffer(norm.num_bytes, std::byte{1});
  checkpoint.read(norm, buffer);
  EXPECT_EQ(buffer[127], std::byte{0});
  EXPECT_THROW(checkpoint.read(norm, std::span(buffer).first(4)), Error);
  EXPECT_THROW(checkpoint.read_part(norm, 120, std::span(buffer).first(9)), Error);
}

TEST_F(CheckpointFolder, MovingKeepsNamesFindable) {
  write_model();
  Checkpoint first = Checkpoint::open(folder_);
  const Checkpoint second = std::move(first);
  EXPECT_NE(second.find("model.norm.weight"), nullptr);
}

TEST_F(CheckpointFolder, AFileThatShrinksIsAnErrorNotASignal) {
  write_model();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  fs::resize_file(folder_ / "model.safetensors", 100);
  const TensorInfo& tensor = checkpoint.at("model.norm.weight");
  std::vector<std::byte> buffer(tensor.num_bytes);
  try {
    checkpoint.read(tensor, buffer);
    FAIL() << "read beyond the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
    expect_part(error.what(), "it has become shorter since it was opened");
  }
}

TEST_F(CheckpointFolder, ReadsContentsAndParts) {
  write(
      "model.safetensors",
      write_safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "wxyz")
  );
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  std::string text(2, ' ');
  checkpoint.read_part(checkpoint.at("a"), 1, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text, "xy");
}

TEST_F(CheckpointFolder, Shards) {
  write_shards(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  EXPECT_EQ(checkpoint.tensors().size(), 2U);
  EXPECT_NE(checkpoint.at("a").file, checkpoint.at("b").file);
}

TEST_F(CheckpointFolder, IndexesThatLieAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"a":"model-1.safetensors"})", ""},  // the other shard is not part of the model
      {R"({"a":"model-1.safetensors","b":"model-1.safetensors"})", "lacks the tensor \"b\""},
      {R"({"c":"model-1.safetensors"})", "holds the tensor \"a\""},
      {R"({"a":"model-1.safetensors","b":"model-3.safetensors"})",
       "model-3.safetensors: cannot be opened"},
      {R"({"a":"../model-1.safetensors"})", "plain name"},
      {R"({"a":"/etc/passwd"})", "plain name"},
      {R"({"a":"sub/model.safetensors"})", "plain name"},
      {R"({"a":".hidden.safetensors"})", "plain name"},
      {R"({"a":"model-1.bin"})", "plain name"},
      {R"({"a":"model-1\u0000.safetensors"})", "plain name"},
      {R"({"a":""})", "plain name"},
      {R"({"a":7})", "no string"},
      {R"({"a":"model-1.safetensors","a":"model-2.safetensors"})", "duplicate key"},
      {R"({})", "weight_map"},
      {R"([])", "weight_map"},
  };
  for (const auto& [weight_map, part] : cases) {
    write_shards(weight_map);
    const std::string message = refusal();
    EXPECT_EQ(message.empty(), part.empty()) << weight_map << ": " << message;
    expect_part(message, part);
  }
}

TEST_F(CheckpointFolder, OneTensorInTwoShardsIsRefused) {
  write_shards(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  write("model-2.safetensors", write_safetensors({{"b", "F16", {4}, 8}, {"a", "F32", {2}, 8}}));
  expect_part(refusal(), "model-2.safetensors: holds the tensor \"a\"");
}

TEST_F(CheckpointFolder, ThingsThatAreNoFilesAreRefusedWithoutHanging) {
  write_model();
  fs::remove(folder_ / "config.json");
  expect_part(refusal(), "config.json: cannot be opened");
  fs::create_directory(folder_ / "config.json");
  expect_part(refusal(), "not a regular file");
  fs::remove(folder_ / "config.json");
  ASSERT_EQ(::mkfifo((folder_ / "config.json").c_str(), 0600), 0);
  expect_part(refusal(), "not a regular file");
  fs::remove(folder_ / "config.json");
  write("config.json", "");
  expect_part(refusal(), "the file is empty");
  write("config.json", kConfig);
  fs::remove(folder_ / "model.safetensors");
  fs::create_symlink("nowhere", folder_ / "model.safetensors");
  expect_part(refusal(), "model.safetensors: cannot be opened");
  fs::remove(folder_ / "model.safetensors");
  ASSERT_EQ(::mkfifo((folder_ / "model.safetensors").c_str(), 0600), 0);
  expect_part(refusal(), "not a regular file");
  EXPECT_TRUE(fs::remove(folder_ / "model.safetensors"));
  expect_part(refusal(), "holds neither");
  write("pytorch_model.bin", "x");
  expect_part(refusal(), "convert the model to safetensors");
}

TEST_F(CheckpointFolder, PathsThatAreNoModels) {
  expect_part(refusal_of(folder_ / "absent"), "no such file or folder");
  expect_part(refusal_of(folder_ / "absent.gguf"), "cannot be opened");
  expect_part(refusal_of(folder_ / "config.json"), "a model is a folder");
  write("empty.gguf", "");
  expect_part(refusal_of(folder_ / "empty.gguf"), "the file is empty");
  ASSERT_EQ(::mkfifo((folder_ / "fifo.gguf").c_str(), 0600), 0);
  expect_part(refusal_of(folder_ / "fifo.gguf"), "not a regular file");
}

TEST_F(CheckpointFolder, BadConfigsAreRefused) {
  write_model();
  for (const char* text :
       {"{", "[]", "null", "{\"a\":1,\"a\":2}", "{\"a\":1e999}", "\xFF", "{\"a\":NaN}"}) {
    write("config.json", text);
    expect_part(refusal(), "config.json: ");
  }
  std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  write("config.json", R"({"a":)" + deep + "}");
  expect_part(refusal(), "nested too deeply");
  write("config.json", R"({"a":[0)" + std::string(3 << 20, ',') + "]}");
  expect_part(refusal(), "values, the limit is");
}

TEST_F(CheckpointFolder, GgufFromAFile) {
  write("m.gguf", write_gguf(testing::small_llama(1)).bytes);
  const Checkpoint checkpoint = Checkpoint::open(folder_ / "m.gguf");
  EXPECT_EQ(checkpoint.format(), Checkpoint::Format::gguf);
  EXPECT_EQ(checkpoint.config().at("model_type"), "llama");
  const TensorInfo& up = checkpoint.at("model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(up.type, TensorType::q4_1);
  EXPECT_EQ(checkpoint.quantization_of("model.layers.0.mlp.up_proj"), std::nullopt);
  std::vector<std::byte> buffer(up.num_bytes);
  checkpoint.read(up, buffer);
}

class CheckpointQuantization : public CheckpointFolder {
 protected:
  [[nodiscard]] std::string refusal_of_module() const {
    try {
      (void)Checkpoint::open(folder_).quantization_of(kModule);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static constexpr const char* kModule = "model.layers.0.mlp.up_proj";
};

TEST_F(CheckpointQuantization, LayoutAndOverrides) {
  write_model();
  const Checkpoint checkpoint = Checkpoint::open(folder_);
  const auto layout = checkpoint.quantization_of(kModule);
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->bits, 4);
  EXPECT_EQ(layout->group_size, 64);
  EXPECT_EQ(checkpoint.quantization_of("model.norm"), std::nullopt);
  // 8 words of 32 bits are also 32 columns of 8 bits: one group of 32.
  write(
      "config.json",
      std::string(R"({"quantization":{"bits":4,"group_size":64,")") + kModule +
          R"(":{"bits":8,"group_size":32}}})"
  );
  EXPECT_EQ(Checkpoint::open(folder_).quantization_of(kModule)->bits, 8);
  write("config.json", R"({"quantization_config":{"bits":4,"group_size":64,"mode":"affine"}})");
  EXPECT_EQ(Checkpoint::open(folder_).quantization_of(kModule)->bits, 4);
}

TEST_F(CheckpointQuantization, DisagreementsAreRefused) {
  write_model();
  const std::string open = R"({"quantization":{"bits":4,"group_size":64,")" + std::string(kModule);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "declares no quantization"},
      {open + R"(":false}})", "declares no quantization"},
      {R"({"quantization":{"bits":8,"group_size":64}})", "do not fit 8 bits in groups of 64"},
      {R"({"quantization":{"bits":3,"group_size":64}})", "do not fit 3 bits"},
      {R"({"quantization":{"bits":5,"group_size":64}})", "quantization with 5 bits"},
      {R"({"quantization":{"bits":4,"group_size":16}})", "in groups of 16"},
      {R"({"quantization":{"bits":4}})", "lacks bits or group_size"},
      {R"({"quantization":{"bits":"4","group_size":64}})", "\"bits\" has the wrong type"},
      {R"({"quantization":7})", "must be an object"},
      {R"({"quantization":{"bits":4,"group_size":32,"mode":"mxfp4"}})", "quantization \"mxfp4\""},
      {R"({"quantization_config":{"quant_method":"gptq","bits":4,"group_size":128}})", "\"gptq\""},
      {open + R"(":{"bits":4,"group_size":64,"mode":"nvfp4"}}})", "\"nvfp4\""},
      {open + R"(":4}})", "is not known"},
  };
  for (const auto& [config, part] : cases) {
    write("config.json", config);
    expect_part(refusal_of_module(), part);
  }
}

TEST_F(CheckpointQuantization, BrokenModulesAreRefused) {
  const auto with = [&](std::size_t index, const SafetensorsSpec& tensor) {
    std::vector<SafetensorsSpec> tensors = testing::small_safetensors();
    tensors[index] = tensor;
    write("model.safetensors", write_safetensors(tensors));
    return refusal_of_module();
  };
  const std::string module = kModule;
  expect_part(with(2, {module + ".weight", "F32", {96, 8}, 3072}), "it must be U32");
  expect_part(with(2, {module + ".weight", "U32", {48, 16}, 3072}), "do not fit");
  expect_part(with(2, {module + ".weight", "U32", {768}, 3072}), "must be matrices");
  expect_part(with(3, {"other", "F16", {96, 1}, 192}), "its .scales are missing");
  expect_part(with(3, {module + ".scales", "BF16", {96, 1}, 192}), "one float type");
  expect_part(with(4, {module + ".biases", "F16", {1, 96}, 192}), "one shape");
  expect_part(with(4, {"other", "F16", {96, 1}, 192}), "is missing");
}

class CheckpointText : public CheckpointFolder {
 protected:
  void SetUp() override {
    CheckpointFolder::SetUp();
    write_model();
  }
  [[nodiscard]] TextSources text() const { return Checkpoint::open(folder_).text(); }
};

TEST_F(CheckpointText, NothingThereIsNothing) {
  const TextSources sources = text();
  EXPECT_EQ(sources.tokenizer_json, std::nullopt);
  EXPECT_TRUE(sources.chat_template.empty());
  EXPECT_TRUE(sources.eos_ids.empty());
}

TEST_F(CheckpointText, TokenizerConfig) {
  write("tokenizer.json", R"({"version":"1.0"})");
  write("tokenizer_config.json", R"({
    "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "unk_token": null, "pad_token": "<pad>",
    "add_bos_token": true, "add_eos_token": null, "chat_template": "{{ x }}",
    "added_tokens_decoder": {"2": {"content": "</s>"}, "3": {"content": "<pad>"}}})");
  const TextSources sources = text();
  EXPECT_EQ(sources.tokenizer_json, R"({"version":"1.0"})");
  EXPECT_EQ(sources.special_tokens.at("bos_token"), "<s>");
  EXPECT_EQ(sources.special_tokens.at("eos_token"), "</s>");
  EXPECT_FALSE(sources.special_tokens.contains("unk_token"));
  EXPECT_EQ(sources.add_bos, true);
  EXPECT_EQ(sources.add_eos, std::nullopt);
  EXPECT_EQ(sources.chat_template, "{{ x }}");
  EXPECT_EQ(sources.eos_ids, (std::vector<std::int32_t>{2}));
}

TEST_F(CheckpointText, TemplatesByPrecedence) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "A"},
                                                        {"name": "tool_use", "template": "B"}]})");
  EXPECT_EQ(text().chat_template, "A");
  EXPECT_EQ(text().named_chat_templates.at("tool_use"), "B");
  write("chat_template.jinja", "C");
  write("additional_chat_templates/rag.jinja", "D");
  EXPECT_EQ(text().chat_template, "C");
  EXPECT_EQ(text().named_chat_templates.at("tool_use"), "B");
  EXPECT_EQ(text().named_chat_templates.at("rag"), "D");
}

TEST_F(CheckpointText, TemplateOfAProcessor) {
  write("chat_template.json", R"({"chat_template": "P"})");
  EXPECT_EQ(text().chat_template, "P");
}

TEST_F(CheckpointText, GenerationConfigBeforeConfig) {
  write("config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(text().eos_ids, (std::vector<std::int32_t>{7}));
  write("config.json", R"({"text_config": {"eos_token_id": [9, 8]}})");
  EXPECT_EQ(text().eos_ids, (std::vector<std::int32_t>{8, 9}));
  write(
      "generation_config.json",
      R"({"eos_token_id": [5, 3, 5], "temperature": 0.6, "top_k": 20, "top_p": 0.95,
                                      "min_p": null, "repetition_penalty": 1.05})"
  );
  const TextSources sources = text();
  EXPECT_EQ(sources.eos_ids, (std::vector<std::int32_t>{3, 5}));
  EXPECT_EQ(sources.generation.temperature, 0.6);
  EXPECT_EQ(sources.generation.top_k, 20);
  EXPECT_EQ(sources.generation.top_p, 0.95);
  EXPECT_EQ(sources.generation.min_p, std::nullopt);
  EXPECT_EQ(sources.generation.repetition_penalty, 1.05);
}

TEST_F(CheckpointText, WrongFieldsAreRefusedByFileAndField) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"generation_config.json", R"({"eos_token_id": "x"})"},
      {"generation_config.json", R"({"eos_token_id": -1})"},
      {"generation_config.json", R"({"eos_token_id": [4294967296]})"},
      {"generation_config.json", R"({"temperature": "hot"})"},
      {"generation_config.json", R"({"temperature": -1})"},
      {"generation_config.json", R"({"top_p": 1.5})"},
      {"generation_config.json", R"({"top_k": -3})"},
      {"generation_config.json", R"([])"},
      {"tokenizer_config.json", R"({"bos_token": 1})"},
      {"tokenizer_config.json", R"({"bos_token": {"content": 1}})"},
      {"tokenizer_config.json", R"({"add_bos_token": "yes"})"},
      {"tokenizer_config.json", R"({"chat_template": 1})"},
      {"tokenizer_config.json", R"({"chat_template": ["x"]})"},
      {"tokenizer_config.json", R"({"chat_template": [{"name": "x"}]})"},
      {"tokenizer_config.json",
       R"({"eos_token": "e", "added_tokens_decoder": {"x": {"content": "e"}}})"},
      {"tokenizer_config.json", R"({"eos_token": "e", "added_tokens_decoder": []})"},
  };
  for (const auto& [name, contents] : cases) {
    write(name, contents);
    expect_part(refusal(), name + ": ");
    fs::remove(folder_ / name);
  }
  ASSERT_EQ(::mkfifo((folder_ / "tokenizer.json").c_str(), 0600), 0);
  expect_part(refusal(), "tokenizer.json: not a regular file");
}

}  // namespace
}  // namespace mlxs
