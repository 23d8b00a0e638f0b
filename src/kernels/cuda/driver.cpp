// Finding the functions by name, and errors in words.
#include "kernels/cuda/driver.h"

#include <dlfcn.h>
#include <spdlog/fmt/fmt.h>

#include <initializer_list>

#include "mlx_serving/error.h"

namespace mlxs::cuda {
namespace {

void* open_library(std::initializer_list<const char*> names, const char* mend) {
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  throw Error(
      ErrorCode::invalid_config,
      fmt::format("[cuda] {} could not be loaded; {}", *names.begin(), mend)
  );
}

class Library {
 public:
  Library(std::initializer_list<const char*> names, const char* mend)
      : name_(*names.begin()), handle_(open_library(names, mend)) {}

  template <typename Function>
  void find(Function& function, const char* symbol) const {
    function = reinterpret_cast<Function>(dlsym(handle_, symbol));
    if (function != nullptr) return;
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("[cuda] {} has no {}; install NVIDIA driver 580 or later", name_, symbol)
    );
  }

 private:
  const char* name_;
  void* handle_;  // kept for the process, as MLX keeps it
};

void find_driver(Driver& table) {
  const Library cuda({"libcuda.so.1"}, "install NVIDIA driver 580 or later");
  cuda.find(table.get_error_string, "cuGetErrorString");
  cuda.find(table.driver_version, "cuDriverGetVersion");
  cuda.find(table.device_attribute, "cuDeviceGetAttribute");
  cuda.find(table.mem_info, "cuMemGetInfo_v2");
  cuda.find(table.mem_alloc_async, "cuMemAllocAsync");
  cuda.find(table.mem_free, "cuMemFree_v2");
  cuda.find(table.mem_host_alloc, "cuMemHostAlloc");
  cuda.find(table.mem_free_host, "cuMemFreeHost");
  cuda.find(table.memset_async, "cuMemsetD8Async");
  cuda.find(table.copy_to_device, "cuMemcpyHtoDAsync_v2");
  cuda.find(table.copy_on_device, "cuMemcpyDtoDAsync_v2");
  cuda.find(table.stream_create, "cuStreamCreate");
  cuda.find(table.stream_destroy, "cuStreamDestroy_v2");
  cuda.find(table.stream_synchronize, "cuStreamSynchronize");
  cuda.find(table.begin_capture, "cuStreamBeginCapture_v2");
  cuda.find(table.end_capture, "cuStreamEndCapture");
  cuda.find(table.graph_instantiate, "cuGraphInstantiateWithFlags");
  cuda.find(table.graph_launch, "cuGraphLaunch");
  cuda.find(table.graph_destroy, "cuGraphDestroy");
  cuda.find(table.graph_exec_destroy, "cuGraphExecDestroy");
  cuda.find(table.event_create, "cuEventCreate");
  cuda.find(table.event_record, "cuEventRecord");
  cuda.find(table.event_synchronize, "cuEventSynchronize");
  cuda.find(table.event_destroy, "cuEventDestroy_v2");
  cuda.find(table.module_load, "cuModuleLoadData");
  cuda.find(table.module_unload, "cuModuleUnload");
  cuda.find(table.module_function, "cuModuleGetFunction");
  cuda.find(table.function_attribute, "cuFuncSetAttribute");
  cuda.find(table.launch, "cuLaunchKernelEx");
}

void find_compiler(Driver& table) {
  const Library nvrtc({"libnvrtc.so.13"}, "install the PyPI package nvidia-cuda-nvrtc");
  nvrtc.find(table.nvrtc_version, "nvrtcVersion");
  nvrtc.find(table.nvrtc_create, "nvrtcCreateProgram");
  nvrtc.find(table.nvrtc_compile, "nvrtcCompileProgram");
  nvrtc.find(table.nvrtc_destroy, "nvrtcDestroyProgram");
  nvrtc.find(table.nvrtc_log_size, "nvrtcGetProgramLogSize");
  nvrtc.find(table.nvrtc_log, "nvrtcGetProgramLog");
  nvrtc.find(table.nvrtc_code_size, "nvrtcGetCUBINSize");
  nvrtc.find(table.nvrtc_code, "nvrtcGetCUBIN");
}

// libcublas lies beside libcublasLt, which MLX has loaded; the loader does not look there by
// itself.
std::string beside_cublas_lt() {
  void* library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  Dl_info info{};
  if (library == nullptr || dladdr(dlsym(library, "cublasLtCreate"), &info) == 0) return {};
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + "libcublas.so.13";
}

void find_products(Driver& table) {
  const std::string beside = beside_cublas_lt();
  const Library cublas(
      {"libcublas.so.13", beside.c_str()}, "install the PyPI package nvidia-cublas"
  );
  cublas.find(table.cublas_create, "cublasCreate_v2");
  cublas.find(table.cublas_destroy, "cublasDestroy_v2");
  cublas.find(table.cublas_set_stream, "cublasSetStream_v2");
  cublas.find(table.cublas_set_workspace, "cublasSetWorkspace_v2");
  cublas.find(table.cublas_gemm, "cublasGemmEx");
}

}  // namespace

Driver Driver::open() {
  Driver table{};
  find_driver(table);
  find_compiler(table);
  find_products(table);
  return table;
}

void Driver::check(CUresult status, const char* what) const {
  if (status == CUDA_SUCCESS) return;
  const char* text = nullptr;
  if (get_error_string(status, &text) != CUDA_SUCCESS || text == nullptr) text = "unknown error";
  throw Error(
      ErrorCode::engine_error,
      fmt::format("[cuda] {}: {} ({})", what, text, static_cast<int>(status))
  );
}

void check_cublas(int status, const char* what) {
  if (status == 0) return;
  throw Error(ErrorCode::engine_error, fmt::format("[cuda] {}: cuBLAS status {}", what, status));
}

}  // namespace mlxs::cuda
