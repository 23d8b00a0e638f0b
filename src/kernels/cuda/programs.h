// The kernels' texts as machine code: compiled for this machine's GPU at their first use, kept on
// disk, loaded once.
#pragma once

#include <cuda.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/cuda/driver.h"

namespace mlxs::cuda {

// A text and the macros that make a program of it.
struct ProgramRequest {
  std::string name;  // of kernel_texts.h: "linear", "decode_attention", ...
  std::vector<std::pair<std::string, int>> defines;
};

// THREADS: one at a time.
class Programs {
 public:
  // cache_folder: where machine code is kept; empty: nowhere. arch: "sm_90a".
  Programs(const Driver& driver, std::filesystem::path cache_folder, std::string arch);
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  // RETURNS: the kernel `function` of the program, which stays loaded, allowed to take shared_bytes
  // of dynamic shared memory, always the same. ERRORS: engine_error with the compiler's words for a
  // text that does not compile, or code that does not load.
  [[nodiscard]] CUfunction function(
      const ProgramRequest& request, const std::string& function, int shared_bytes = 0
  );

 private:
  [[nodiscard]] std::string machine_code(const ProgramRequest& request) const;

  const Driver& driver_;
  std::filesystem::path cache_folder_;
  std::string arch_;
  std::map<std::string, CUmodule> modules_;
  std::map<std::string, CUfunction> functions_;
};

}  // namespace mlxs::cuda
