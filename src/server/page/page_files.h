// The files of the page, embedded in the program.
#pragma once

#include <span>
#include <string_view>

namespace mlxs {

struct PageFile {
  std::string_view name;  // "app.js"
  std::string_view text;
};

[[nodiscard]] std::span<const PageFile> page_files();

}  // namespace mlxs
