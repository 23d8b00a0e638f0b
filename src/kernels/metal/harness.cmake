# Metal kernels on the CPU: mlxs_add_metal_test(name SOURCES ... TEXTS ... [FROM folder] [SHIMS folder] [WARNINGS ...] LIBS ...) compiles a test
# that includes the kernels' TEXTS (relative to FROM, src/ unless given) as testing/harness.h runs them.
#
# -fsanitize=thread makes the compiler tell of every access; the harness has the functions that it calls, so nothing is linked.
add_library(mlxs_metal_harness STATIC
  metal/testing/harness.cpp metal/testing/shadow.cpp metal/testing/tsan_hooks.cpp)
target_link_libraries(mlxs_metal_harness PUBLIC mlxs_options fmt::fmt)

function(mlxs_add_metal_test name)
  cmake_parse_arguments(ARG "" "FROM;SHIMS" "SOURCES;TEXTS;LIBS;DEFINITIONS;WARNINGS" ${ARGN})
  if(NOT ARG_FROM)
    set(ARG_FROM "${PROJECT_SOURCE_DIR}/src")
  endif()
  set(texts "${CMAKE_CURRENT_BINARY_DIR}/${name}_texts")
  set(written "")
  set(read "")
  foreach(file IN LISTS ARG_TEXTS)
    list(APPEND written "${texts}/${file}")
    list(APPEND read "${ARG_FROM}/${file}")
  endforeach()
  if(ARG_SHIMS)
    file(GLOB shims CONFIGURE_DEPENDS "${ARG_SHIMS}/*.h")
    list(APPEND read ${shims})
  endif()
  add_custom_command(
    OUTPUT ${written}
    COMMAND "${CMAKE_COMMAND}" "-DFROM=${ARG_FROM}" "-DTO=${texts}" "-DFILES=${ARG_TEXTS}" "-DSHIMS=${ARG_SHIMS}"
            -P "${PROJECT_SOURCE_DIR}/src/kernels/metal/prepare_text.cmake"
    DEPENDS ${read} "${PROJECT_SOURCE_DIR}/src/kernels/metal/prepare_text.cmake"
    VERBATIM)
  mlxs_add_test(${name} SOURCES ${ARG_SOURCES} ${written} LIBS mlxs_metal_harness ${ARG_LIBS})
  target_include_directories(${name} BEFORE PRIVATE
    "${texts}" "${PROJECT_SOURCE_DIR}/src/kernels/metal/testing/include")
  target_compile_definitions(${name} PRIVATE ${ARG_DEFINITIONS})
  # Literals are float in Metal. ARG_WARNINGS: what Metal's compiler takes and this one warns of.
  set_property(SOURCE ${ARG_SOURCES} PROPERTY COMPILE_OPTIONS
    -fsanitize=thread -fsingle-precision-constant -Wno-attributes -Wno-unknown-pragmas -Wno-tsan ${ARG_WARNINGS})
endfunction()
