// The few functions of NVIDIA's driver, compiler and matrix library that the kernels need, found in
// the libraries that MLX's CUDA back end has loaded already: nothing is linked.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <string>

namespace mlxs::cuda {

// Opaque handles of the libraries whose headers are not needed otherwise.
using NvrtcProgram = struct NvrtcProgramState*;
using CublasHandle = struct CublasState*;

// Function tables; every member is set. THREADS: the functions are NVIDIA's and safe.
struct Driver {
  // ERRORS: invalid_config in words when a library or a function is missing (no driver, an old
  // one).
  static Driver open();

  CUresult (*get_error_string)(CUresult, const char**);
  CUresult (*driver_version)(int*);
  CUresult (*device_attribute)(int*, CUdevice_attribute, CUdevice);
  CUresult (*mem_info)(std::size_t*, std::size_t*);
  CUresult (*mem_alloc_async)(CUdeviceptr*, std::size_t, CUstream);
  CUresult (*mem_free)(CUdeviceptr);
  CUresult (*mem_host_alloc)(void**, std::size_t, unsigned int);
  CUresult (*mem_free_host)(void*);
  CUresult (*memset_async)(CUdeviceptr, unsigned char, std::size_t, CUstream);
  CUresult (*copy_to_device)(CUdeviceptr, const void*, std::size_t, CUstream);
  CUresult (*copy_on_device)(CUdeviceptr, CUdeviceptr, std::size_t, CUstream);
  CUresult (*stream_create)(CUstream*, unsigned int);
  CUresult (*stream_destroy)(CUstream);
  CUresult (*stream_synchronize)(CUstream);
  CUresult (*begin_capture)(CUstream, CUstreamCaptureMode);
  CUresult (*end_capture)(CUstream, CUgraph*);
  CUresult (*graph_instantiate)(CUgraphExec*, CUgraph, unsigned long long);
  CUresult (*graph_launch)(CUgraphExec, CUstream);
  CUresult (*graph_destroy)(CUgraph);
  CUresult (*graph_exec_destroy)(CUgraphExec);
  CUresult (*event_create)(CUevent*, unsigned int);
  CUresult (*event_record)(CUevent, CUstream);
  CUresult (*event_synchronize)(CUevent);
  CUresult (*event_destroy)(CUevent);
  CUresult (*module_load)(CUmodule*, const void*);
  CUresult (*module_unload)(CUmodule);
  CUresult (*module_function)(CUfunction*, CUmodule, const char*);
  CUresult (*function_attribute)(CUfunction, CUfunction_attribute, int);
  CUresult (*launch)(const CUlaunchConfig*, CUfunction, void**, void**);

  int (*nvrtc_version)(int*, int*);
  int (*nvrtc_create)(NvrtcProgram*, const char*, const char*, int, const char* const*, const char* const*);
  int (*nvrtc_compile)(NvrtcProgram, int, const char* const*);
  int (*nvrtc_destroy)(NvrtcProgram*);
  int (*nvrtc_log_size)(NvrtcProgram, std::size_t*);
  int (*nvrtc_log)(NvrtcProgram, char*);
  int (*nvrtc_code_size)(NvrtcProgram, std::size_t*);
  int (*nvrtc_code)(NvrtcProgram, char*);

  int (*cublas_create)(CublasHandle*);
  int (*cublas_destroy)(CublasHandle);
  int (*cublas_set_stream)(CublasHandle, CUstream);
  int (*cublas_set_workspace)(CublasHandle, void*, std::size_t);
  int (*cublas_gemm)(
      CublasHandle,
      int,
      int,
      int,
      int,
      int,
      const void*,
      const void*,
      int,
      int,
      const void*,
      int,
      int,
      const void*,
      void*,
      int,
      int,
      int,
      int
  );

  // ERRORS: engine_error naming `what` and the driver's own words, unless `status` is success.
  void check(CUresult status, const char* what) const;
};

// ERRORS: engine_error unless `status` is 0.
void check_cublas(int status, const char* what);

}  // namespace mlxs::cuda
