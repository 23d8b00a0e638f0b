// The texts of the .cu files, put into the program by the build.
#pragma once

#include <string_view>

namespace mlxs::cuda {

// RETURNS: the whole text of one program. ERRORS: std::logic_error for a name that there is not.
[[nodiscard]] std::string_view kernel_text(std::string_view name);

}  // namespace mlxs::cuda
