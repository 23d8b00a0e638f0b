# Tests and fuzz targets. Unit tests sit beside their source and are listed by their room.
find_package(GTest REQUIRED)
include(GoogleTest)

# Relative for programs that are carried to another machine and run in its checkout.
set(MLXS_GOLDEN_DIR "${PROJECT_SOURCE_DIR}/tests/golden" CACHE STRING "Folder of the golden data")

# mlxs_add_test(name SOURCES ... LIBS ... [LABELS ...] [TIMEOUT seconds]): one GoogleTest program, a ctest entry a case.
# TIMEOUT is a hang guard of a case, not a bound on speed.
function(mlxs_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE mlxs_options ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE MLXS_GOLDEN_DIR="${MLXS_GOLDEN_DIR}")
  gtest_discover_tests(${name}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# mlxs_add_fuzz_target(name SOURCES ... LIBS ... [CORPUS folder]): LLVMFuzzerTestOneInput, by libFuzzer in the fuzz
# preset; elsewhere a plain main replays the corpus as a test, so that the target cannot rot.
function(mlxs_add_fuzz_target name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE mlxs_options ${ARG_LIBS})
  if(MLXS_LIBFUZZER)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    file(APPEND "${PROJECT_BINARY_DIR}/fuzz_targets.txt" "${name} ${ARG_CORPUS}\n")
    set(run ${name} -runs=0 ${ARG_CORPUS})
  else()
    target_sources(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    set(run ${name} ${ARG_CORPUS})
  endif()
  add_test(NAME fuzz_replay.${name} COMMAND ${run})
  set_tests_properties(fuzz_replay.${name} PROPERTIES LABELS "fast;fuzz" TIMEOUT 120)
endfunction()

if(MLXS_LIBFUZZER)
  file(WRITE "${PROJECT_BINARY_DIR}/fuzz_targets.txt" "")
  # Coverage feedback needs every room instrumented, not only the targets.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
