# libmlx_serving for a package: the target mlx_serving_door, and MLXS_DOOR_STRIPPED, the file to install.
# REQUIRES: MLXS_ROOT, the main project. Environment: MLX_SERVING_BACKEND picks build/release or build/release-<backend>.
set(MLXS_BACKEND "$ENV{MLX_SERVING_BACKEND}")
set(MLXS_SUFFIX "")
if(APPLE AND NOT MLXS_BACKEND)
  set(MLXS_BACKEND metal)
endif()
if(MLXS_BACKEND AND NOT MLXS_BACKEND STREQUAL "cpu")
  set(MLXS_SUFFIX "-${MLXS_BACKEND}")
endif()
set(MLXS_BUILD "${MLXS_ROOT}/build/release${MLXS_SUFFIX}")

if(NOT EXISTS "${MLXS_BUILD}/build.ninja")
  message(STATUS "Setting up ${MLXS_BUILD}: the first time takes minutes")
  execute_process(COMMAND "${MLXS_ROOT}/tools/setup" all COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${MLXS_ROOT}/tools/build" release --configure-only COMMAND_ERROR_IS_FATAL ANY)
endif()
# Not this project's generator and compiler: the main build has its own.
execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env --unset=CC --unset=CXX --unset=CFLAGS --unset=CXXFLAGS --unset=CMAKE_GENERATOR
          cmake --build "${MLXS_BUILD}" --target mlx_serving
  COMMAND_ERROR_IS_FATAL ANY)

set(MLXS_DOOR_NAME "${CMAKE_SHARED_LIBRARY_PREFIX}mlx_serving${CMAKE_SHARED_LIBRARY_SUFFIX}")
set(MLXS_DOOR_FILE "${MLXS_BUILD}/lib/${MLXS_DOOR_NAME}")
set(MLXS_DOOR_STRIPPED "${CMAKE_CURRENT_BINARY_DIR}/stripped/${MLXS_DOOR_NAME}")
file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/stripped")
if(APPLE)
  execute_process(COMMAND strip -S -o "${MLXS_DOOR_STRIPPED}" "${MLXS_DOOR_FILE}" COMMAND_ERROR_IS_FATAL ANY)
else()
  execute_process(COMMAND strip --strip-debug -o "${MLXS_DOOR_STRIPPED}" "${MLXS_DOOR_FILE}" COMMAND_ERROR_IS_FATAL ANY)
endif()

add_library(mlx_serving_door SHARED IMPORTED)
set_target_properties(mlx_serving_door PROPERTIES IMPORTED_LOCATION "${MLXS_DOOR_FILE}")
target_include_directories(mlx_serving_door INTERFACE "${MLXS_ROOT}/src" "${MLXS_ROOT}/include")
if(NOT APPLE)
  target_link_options(mlx_serving_door INTERFACE -Wl,--allow-shlib-undefined)
endif()

# Where the main project found MLX.
file(STRINGS "${MLXS_BUILD}/CMakeCache.txt" MLXS_MLX_DIR REGEX "^MLX_DIR:")
string(REGEX REPLACE "^MLX_DIR:[A-Z]+=" "" MLXS_MLX_DIR "${MLXS_MLX_DIR}")
get_filename_component(MLXS_SITE_PACKAGES "${MLXS_MLX_DIR}/../../../.." ABSOLUTE)
