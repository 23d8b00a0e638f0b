# Libraries from the system's packages, and MLX from the virtual environment.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)

if(MLXS_WITH_MLX)
  if(NOT MLX_DIR)
    file(GLOB MLXS_MLX_CONFIGS "${MLXS_VENV}/lib/python3*/site-packages/mlx/share/cmake/MLX")
    if(NOT MLXS_MLX_CONFIGS)
      message(FATAL_ERROR "MLX was not found in ${MLXS_VENV}; run `make setup`, or pass -DMLX_DIR=<site-packages>/mlx/share/cmake/MLX")
    endif()
    list(GET MLXS_MLX_CONFIGS 0 MLXS_MLX_CONFIG)
    set(MLX_DIR "${MLXS_MLX_CONFIG}" CACHE PATH "Folder of MLXConfig.cmake")
  endif()
  # MLX's C++ ABI is not stable: exactly the version that the requirements pin.
  find_package(MLX 0.32.4 EXACT CONFIG REQUIRED)
endif()
