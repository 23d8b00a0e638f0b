# Writes OUTPUT, a C++ file with the programs' texts. Run by the build: cmake -DOUTPUT=... -DSOURCE=<src/kernels> -P.
# tools/check_cuda joins the same parts.
set(linear linear/linear.cuh linear/linear.cu)
set(wide_linear cuda/warpgroup.cuh linear/linear.cuh linear/wide_linear.cu)
set(decode_attention paged_attention/attention.cuh paged_attention/decode_attention.cu)
set(prefill_attention paged_attention/attention.cuh store_kv/store_kv.cu paged_attention/prefill_attention.cu)
set(rows rms_norm/rms_norm.cu embedding/embedding.cu rope/rope.cu swiglu/swiglu.cu)

set(text "// Written by embed_texts.cmake.\n#include \"kernels/cuda/kernel_texts.h\"\n\n#include <stdexcept>\n\n")
string(APPEND text "namespace mlxs::cuda {\n\nstd::string_view kernel_text(std::string_view name) {\n")
foreach(program linear wide_linear decode_attention prefill_attention rows)
  string(APPEND text "  if (name == \"${program}\") {\n    return R\"__CU__(")
  foreach(part cuda/kernel_params.h cuda/device.cuh ${${program}})
    file(READ "${SOURCE}/${part}" content)
    string(REPLACE "#pragma once" "" content "${content}")
    # Compilers limit the length of one literal; two that touch are one.
    string(APPEND text "${content})__CU__\"\n        R\"__CU__(")
  endforeach()
  string(APPEND text ")__CU__\";\n  }\n")
endforeach()
string(APPEND text "  throw std::logic_error(\"[cuda] no such program\");\n}\n\n}  // namespace mlxs::cuda\n")
file(WRITE "${OUTPUT}" "${text}")
