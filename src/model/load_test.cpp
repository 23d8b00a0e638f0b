// Loading: what is refused and how it is named, progress, and the peak of memory, over checkpoints
// written here.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/checkpoint.h"
#include "model/families/families.h"
#include "model/model.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

struct Tensor {
  std::string type;  // "BF16"
  std::vector<std::int64_t> shape;

  [[nodiscard]] std::int64_t num_bytes() const {
    std::int64_t bytes = type == "F32" || type == "I32" ? 4 : 2;
    for (const std::int64_t extent : shape) bytes *= extent;
    return bytes;
  }
};

using Tensors = std::map<std::string, Tensor>;

struct Sizes {
  int vocab = 32;
  int hidden = 16;
  int intermediate = 24;
  int num_layers = 2;
};

Tensors llama_tensors(const Sizes& sizes) {
  const std::int64_t hidden = sizes.hidden;
  const auto matrix = [](std::int64_t rows, std::int64_t columns) {
    return Tensor{"BF16", {rows, columns}};
  };
  Tensors tensors{
      {"model.embed_tokens.weight", matrix(sizes.vocab, hidden)},
      {"model.norm.weight", {"BF16", {hidden}}}
  };
  for (int layer = 0; layer < sizes.num_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const char* name : {"q", "k", "v", "o"}) {
      tensors[prefix + "self_attn." + name + "_proj.weight"] = matrix(hidden, hidden);
    }
    for (const char* name : {"gate", "up"}) {
      tensors[prefix + "mlp." + name + "_proj.weight"] = matrix(sizes.intermediate, hidden);
    }
    tensors[prefix + "mlp.down_proj.weight"] = matrix(hidden, sizes.intermediate);
    tensors[prefix + "input_layernorm.weight"] = {"BF16", {hidden}};
    tensors[prefix + "post_attention_layernorm.weight"] = {"BF16", {hidden}};
  }
  return tensors;
}

// A folder whose weights are all zero: the file is sparse and takes no space.
class LlamaFolder {
 public:
  LlamaFolder(const Sizes& sizes, const Tensors& tensors) {
    std::string form = (fs::temp_directory_path() / "mlxs_load_test_XXXXXX").string();
    if (::mkdtemp(form.data()) == nullptr) throw std::runtime_error("mkdtemp failed in " + form);
    path_ = form;
    write_config(sizes);
    write_tensors(tensors);
  }
  LlamaFolder(const LlamaFolder&) = delete;
  LlamaFolder& operator=(const LlamaFolder&) = delete;
  ~LlamaFolder() {
    std::error_code ignored;  // a test's leftovers in the temporary folder harm nobody
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  void write_config(const Sizes& sizes) const {
    std::ofstream(
        path_ / "config.json"
    ) << R"({"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5,)"
      << R"("max_position_embeddings": 64, "tie_word_embeddings": true, "vocab_size": )"
      << sizes.vocab << R"(, "hidden_size": )" << sizes.hidden << R"(, "intermediate_size": )"
      << sizes.intermediate << R"(, "num_hidden_layers": )" << sizes.num_layers << "}";
  }

  void write_tensors(const Tensors& tensors) const {
    std::string header = "{";
    std::int64_t offset = 0;
    for (const auto& [name, tensor] : tensors) {
      std::string shape;
      for (const std::int64_t extent : tensor.shape)
        shape += (shape.empty() ? "" : ",") + std::to_string(extent);
      header += (offset == 0 ? "\"" : ",\"") + name + R"(":{"dtype":")" + tensor.type +
                R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(offset) + "," +
                std::to_string(offset + tensor.num_bytes()) + "]}";
      offset += tensor.num_bytes();
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const fs::path file = path_ / "model.safetensors";
    std::ofstream out(file, std::ios::binary);
    const std::uint64_t header_bytes = header.size();
    out.write(reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
    out << header;
    out.close();
    fs::resize_file(file, sizeof header_bytes + header_bytes + static_cast<std::uint64_t>(offset));
  }

  fs::path path_;
};

Model load(const LlamaFolder& folder, const LoadProgress& progress = {}) {
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  const ModelOptions options{.progress = progress};
  return Model::load(checkpoint, make_model_spec(checkpoint.config(), checkpoint.path()), options);
}

std::int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void expect_refused(
    const std::function<void(Tensors&)>& change, ErrorCode code, const std::string& named
) {
  Tensors tensors = llama_tensors({});
  change(tensors);
  const LlamaFolder folder({}, tensors);
  try {
    (void)load(folder);
    ADD_FAILURE() << "was loaded: " << named;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(folder.path().string()), std::string::npos)
        << error.what();
  }
}

TEST(Load, RefusesTensorsThatDoNotFitByNameAndFile) {
  expect_refused(
      [](Tensors& tensors) { tensors.erase("model.layers.1.mlp.up_proj.weight"); },
      ErrorCode::invalid_model,
      "model.layers.1.mlp.up_proj.weight"
  );
  expect_refused(
      [](Tensors& tensors) { tensors["model.layers.0.mlp.down_proj.weight"].shape = {24, 16}; },
      ErrorCode::invalid_model,
      "model.layers.0.mlp.down_proj.weight"
  );
  expect_refused(
      [](Tensors& tensors) { tensors["model.norm.weight"].shape = {17}; },
      ErrorCode::invalid_model,
      "model.norm.weight"
  );
  expect_refused(
      [](Tensors& tensors) { tensors["model.embed_tokens.weight"].shape = {32, 16, 1}; },
      ErrorCode::invalid_model,
      "model.embed_tokens.weight"
  );
  expect_refused(
      [](Tensors& tensors) { tensors["model.layers.0.self_attn.q_proj.weight"].type = "I32"; },
      ErrorCode::unsupported_model,
      "model.layers.0.self_attn.q_proj.weight"
  );
  expect_refused(
      [](Tensors& tensors) { tensors["model.layers.0.self_attn.q_proj.bias"] = {"BF16", {16}}; },
      ErrorCode::unsupported_model,
      "model.layers.0.self_attn.q_proj.bias"
  );
}

TEST(Load, ReportsProgressUpToTheEnd) {
  const LlamaFolder folder({}, llama_tensors({}));
  std::vector<std::int64_t> done;
  std::int64_t total = 0;
  const Model model = load(folder, [&](std::int64_t done_bytes, std::int64_t total_bytes) {
    done.push_back(done_bytes);
    total = total_bytes;
  });
  ASSERT_GT(done.size(), 10U);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), total);
  EXPECT_EQ(model.layer_groups()[0].bytes_per_token, 2 * 2 * 16 * 4);
}

TEST(Load, KvPagesOfImpossibleSizesAreRefused) {
  const LlamaFolder folder({}, llama_tensors({}));
  const Model model = load(folder);
  EXPECT_THROW((void)model.make_kv_pages({.num_pages = {0}}), Error);
  EXPECT_THROW((void)model.make_kv_pages({.num_pages = {4}, .page_size = -1}), Error);
  EXPECT_THROW((void)model.make_kv_pages({.num_pages = {1 << 30}}), Error);
  EXPECT_THROW((void)model.make_kv_pages({.num_pages = {4, 4}}), Error);
}

// In a process of its own under ctest, so that the peak is this test's.
TEST(Load, PeakMemoryIsTheWeightsAndAQuarterAndSome) {
  const Sizes sizes{.vocab = 65536, .hidden = 4096, .intermediate = 8192, .num_layers = 2};
  const LlamaFolder folder(sizes, llama_tensors(sizes));
  const std::int64_t before = peak_rss_bytes();
  const Model model = load(folder);
  const std::int64_t grown = peak_rss_bytes() - before;
  EXPECT_GT(model.weight_bytes(), std::int64_t{1} << 29);
  EXPECT_GT(grown, model.weight_bytes() * 9 / 10);  // else nothing was measured
  EXPECT_LE(grown, model.weight_bytes() * 5 / 4 + 200'000'000);
}

}  // namespace
}  // namespace mlxs
