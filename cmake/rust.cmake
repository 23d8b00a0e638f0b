# The Rust static library of the text room, built by cargo and imported as mlxs_text_ffi.
#
# MLXS_TEXT_FFI_LIB names a library built elsewhere; then neither cargo nor the network is needed. Otherwise cargo builds
# into build/rust, which all presets share: the library is the same for each of them.
set(MLXS_TEXT_FFI_LIB "" CACHE FILEPATH "A prebuilt libmlxs_text_ffi.a; empty: cargo builds it")
set(MLXS_RUST_TARGET_DIR "${PROJECT_SOURCE_DIR}/build/rust" CACHE PATH "Cargo's target folder")
set(MLXS_TEXT_FFI_SOURCE "${PROJECT_SOURCE_DIR}/rust/text_ffi")

add_library(mlxs_text_ffi STATIC IMPORTED GLOBAL)
target_include_directories(mlxs_text_ffi INTERFACE "${MLXS_TEXT_FFI_SOURCE}/include")
# Rust's standard library leans on these.
target_link_libraries(mlxs_text_ffi INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)

if(MLXS_TEXT_FFI_LIB)
  set_target_properties(mlxs_text_ffi PROPERTIES IMPORTED_LOCATION "${MLXS_TEXT_FFI_LIB}")
else()
  find_program(MLXS_CARGO cargo HINTS "$ENV{HOME}/.cargo/bin")
  if(NOT MLXS_CARGO)
    message(FATAL_ERROR "cargo was not found; install Rust 1.87 or later (https://rustup.rs), or pass -DMLXS_TEXT_FFI_LIB=<libmlxs_text_ffi.a>")
  endif()
  set(MLXS_TEXT_FFI_BUILT "${MLXS_RUST_TARGET_DIR}/release/libmlxs_text_ffi.a")
  file(GLOB_RECURSE MLXS_TEXT_FFI_SOURCES CONFIGURE_DEPENDS "${MLXS_TEXT_FFI_SOURCE}/src/*.rs")
  # Cargo leaves an unchanged library's time alone; touching it tells ninja that it is current.
  add_custom_command(
    OUTPUT "${MLXS_TEXT_FFI_BUILT}"
    COMMAND "${MLXS_CARGO}" build --release --locked --lib
            --manifest-path "${MLXS_TEXT_FFI_SOURCE}/Cargo.toml" --target-dir "${MLXS_RUST_TARGET_DIR}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${MLXS_TEXT_FFI_BUILT}"
    DEPENDS ${MLXS_TEXT_FFI_SOURCES} "${MLXS_TEXT_FFI_SOURCE}/Cargo.toml" "${MLXS_TEXT_FFI_SOURCE}/Cargo.lock"
    COMMENT "Building the Rust text library"
    USES_TERMINAL VERBATIM)
  add_custom_target(mlxs_text_ffi_build DEPENDS "${MLXS_TEXT_FFI_BUILT}")
  add_dependencies(mlxs_text_ffi mlxs_text_ffi_build)
  set_target_properties(mlxs_text_ffi PROPERTIES IMPORTED_LOCATION "${MLXS_TEXT_FFI_BUILT}")
endif()
