// Runs a fuzz target over the files of the folders named on the command line, without libFuzzer.
// It does not mutate anything: `make fuzz` does.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes);

namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> input(
      (std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()
  );
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t num_files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      replay(entry.path());
      ++num_files;
    }
  }
  const std::uint8_t empty = 0;
  LLVMFuzzerTestOneInput(&empty, 0);
  std::printf("replayed %zu files and the empty input\n", num_files);
  return argc > 1 && num_files == 0 ? 1 : 0;
}
