# Libraries from the system's packages, and MLX from the virtual environment.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_package(SQLite3 REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp) # versions before 0.8
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
find_package(OpenSSL 3.0 REQUIRED)

# MLX's C++ ABI is not stable: exactly the version that the requirements pin.
set(MLXS_MLX_WANTED 0.32.4)
if(MLXS_WITH_MLX)
  if(NOT MLX_DIR)
    file(GLOB MLXS_MLX_CONFIGS "${MLXS_VENV}/lib/python3*/site-packages/mlx/share/cmake/MLX")
    if(NOT MLXS_MLX_CONFIGS)
      message(FATAL_ERROR "MLX was not found in ${MLXS_VENV}; run `make setup`, or pass -DMLX_DIR=<site-packages>/mlx/share/cmake/MLX")
    endif()
    list(GET MLXS_MLX_CONFIGS 0 MLXS_MLX_CONFIG)
    set(MLX_DIR "${MLXS_MLX_CONFIG}" CACHE PATH "Folder of MLXConfig.cmake")
  endif()
  get_filename_component(MLXS_MLX_ROOT "${MLX_DIR}/../../.." ABSOLUTE)
  # The CUDA wheel's headers; there it is for us to say what to link, as its own configuration asks for a CUDA toolkit.
  if(IS_DIRECTORY "${MLXS_MLX_ROOT}/include/cccl")
    set(MLXS_CUDA ON)
    find_path(MLXS_CUDA_INCLUDE cuda.h REQUIRED
      PATHS "${MLXS_MLX_ROOT}/../nvidia/cu13/include" /usr/local/cuda/include /usr/include
      NO_DEFAULT_PATH DOC "Folder of cuda.h, from the package nvidia-cuda-runtime")
    file(STRINGS "${MLX_DIR}/MLXConfigVersion.cmake" MLXS_MLX_VERSION REGEX "set\\(PACKAGE_VERSION \"${MLXS_MLX_WANTED}\"\\)")
    if(NOT MLXS_MLX_VERSION)
      message(FATAL_ERROR "MLX in ${MLXS_MLX_ROOT} is not ${MLXS_MLX_WANTED}; run `make setup`")
    endif()
    add_library(mlx SHARED IMPORTED GLOBAL)
    set_target_properties(mlx PROPERTIES
      IMPORTED_LOCATION "${MLXS_MLX_ROOT}/lib/libmlx.so"
      INTERFACE_INCLUDE_DIRECTORIES "${MLXS_MLX_ROOT}/include;${MLXS_CUDA_INCLUDE}"
      # libmlx finds the driver and NVIDIA's libraries itself, where there are any.
      INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
  else()
    find_package(MLX ${MLXS_MLX_WANTED} EXACT CONFIG REQUIRED)
  endif()
endif()
