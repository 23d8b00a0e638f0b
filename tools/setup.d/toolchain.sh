# shellcheck shell=bash disable=SC2034,SC2154  # the parts of tools/setup share its variables
# Prerequisites by version. Rust comes first of all steps: Debian's is too old, and nobody should wait for the other
# steps before hearing so. The C++ tools are looked at once their packages are there.

rust_wanted=1.87.0
cmake_wanted=3.25.0
rustup_command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"

step_rust() {
  local found
  { have cargo && have rustc; } ||
    die "Rust was not found (cargo and rustc; $rust_wanted or later; Debian's package is too old)" \
      "$rustup_command"
  found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
  [ -n "$found" ] || die "cargo --version does not answer" "rustup default stable"
  version_at_least "${found%%-*}" "$rust_wanted" ||
    die "Rust is $found at $(command -v cargo); $rust_wanted or later is needed" \
      "with rustup: rustup update stable; without: $rustup_command"
}

step_toolchain() {
  local compiler=${CXX:-c++} key found program
  for program in "$compiler" cmake ninja; do
    have "$program" || die "$program was not found" "tools/setup packages installs it; or put it on the PATH"
  done
  found=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
  key="$("$compiler" --version | head -n 1) / $found"
  ! stamp_holds "$stamps/toolchain" "$key" || return 0
  version_at_least "$found" "$cmake_wanted" ||
    die "CMake is $found at $(command -v cmake); $cmake_wanted or later is needed" \
      "put a newer one first on the PATH (Debian 12 has 3.25, https://cmake.org has the newest)"
  printf '#include <concepts>\n#include <coroutine>\n#include <source_location>\n#include <span>\n%s\n' \
    'template <class T> requires std::integral<T> constexpr T twice(T x) { return x + x; } static_assert(twice(2) == 4);' |
    "$compiler" -std=c++20 -fsyntax-only -x c++ - 2>/dev/null ||
    die "the C++ compiler cannot compile C++20: $("$compiler" --version | head -n 1)" \
      "install g++ 12 or later (Debian 12: apt-get install build-essential), or set CXX to one"
  write_stamp "$stamps/toolchain" "$key"
}
