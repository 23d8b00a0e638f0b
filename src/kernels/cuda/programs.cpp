// NVRTC, and the cache on disk. A cache that cannot be read or written only costs time.
#include "kernels/cuda/programs.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "kernels/cuda/kernel_texts.h"
#include "mlx_serving/error.h"

namespace mlxs::cuda {
namespace {

// FNV-1a; collisions would need the same name and options as well.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::vector<std::string> compile_options(const ProgramRequest& request, const std::string& arch) {
  std::vector<std::string> options{"--gpu-architecture=" + arch, "--std=c++17", "-default-device"};
  for (const auto& [name, value] : request.defines)
    options.push_back(fmt::format("-D{}={}", name, value));
  return options;
}

std::string joined_name(const ProgramRequest& request) {
  std::string name = request.name;
  for (const auto& [key, value] : request.defines) name += fmt::format("-{}", value);
  return name;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path temporary = fmt::format("{}.{}", path.string(), getpid());
  bool is_written = false;
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    is_written = static_cast<bool>(file.flush());
  }
  if (is_written) std::filesystem::rename(temporary, path, error);
  if (!is_written || error) {
    std::filesystem::remove(temporary, error);
    log_warning(
        "[cuda] {} could not be written; kernels are compiled again next time", path.string()
    );
  }
}

// One compilation.
class Compilation {
 public:
  Compilation(const Driver& driver, const std::string& text, const std::string& name)
      : driver_(driver) {
    if (driver_.nvrtc_create(&program_, text.c_str(), name.c_str(), 0, nullptr, nullptr) != 0)
      throw Error(ErrorCode::engine_error, "[cuda] NVRTC could not start");
  }
  ~Compilation() { driver_.nvrtc_destroy(&program_); }
  Compilation(const Compilation&) = delete;
  Compilation& operator=(const Compilation&) = delete;

  std::string run(const std::vector<std::string>& options) {
    std::vector<const char*> words;
    for (const std::string& option : options) words.push_back(option.c_str());
    const int status =
        driver_.nvrtc_compile(program_, static_cast<int>(words.size()), words.data());
    std::size_t size = 0;
    if (status != 0) {
      driver_.nvrtc_log_size(program_, &size);
      std::string log(size, '\0');
      driver_.nvrtc_log(program_, log.data());
      throw Error(ErrorCode::engine_error, "[cuda] a kernel does not compile: " + log);
    }
    driver_.nvrtc_code_size(program_, &size);
    std::string code(size, '\0');
    driver_.nvrtc_code(program_, code.data());
    return code;
  }

 private:
  const Driver& driver_;
  NvrtcProgram program_ = nullptr;
};

}  // namespace

Programs::Programs(const Driver& driver, std::filesystem::path cache_folder, std::string arch)
    : driver_(driver), cache_folder_(std::move(cache_folder)), arch_(std::move(arch)) {}

Programs::~Programs() {
  for (const auto& [name, loaded] : modules_) driver_.module_unload(loaded);
}

std::string Programs::machine_code(const ProgramRequest& request) const {
  const std::string text(kernel_text(request.name));
  int major = 0;
  int minor = 0;
  driver_.nvrtc_version(&major, &minor);
  const std::string key = fmt::format("{}-{}.{}-{}", arch_, major, minor, joined_name(request));
  const std::filesystem::path path =
      cache_folder_ / fmt::format("{}-{:016x}.cubin", key, hash_of(text));
  if (!cache_folder_.empty()) {
    std::string code = read_file(path);
    if (!code.empty()) return code;
  }
  std::string code =
      Compilation(driver_, text, request.name + ".cu").run(compile_options(request, arch_));
  if (!cache_folder_.empty()) write_file(path, code);
  return code;
}

CUfunction Programs::function(
    const ProgramRequest& request, const std::string& function, int shared_bytes
) {
  const std::string program = joined_name(request);
  const auto known = functions_.find(program + "/" + function);
  if (known != functions_.end()) return known->second;
  auto loaded = modules_.find(program);
  if (loaded == modules_.end()) {
    const std::string code = machine_code(request);
    CUmodule result = nullptr;
    driver_.check(driver_.module_load(&result, code.data()), "loading a kernel");
    loaded = modules_.emplace(program, result).first;
  }
  CUfunction result = nullptr;
  driver_.check(
      driver_.module_function(&result, loaded->second, function.c_str()), function.c_str()
  );
  if (shared_bytes > 0) {
    driver_.check(
        driver_.function_attribute(
            result, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes
        ),
        function.c_str()
    );
  }
  functions_.emplace(program + "/" + function, result);
  return result;
}

}  // namespace mlxs::cuda
