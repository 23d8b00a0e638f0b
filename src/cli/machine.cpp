// Facts of the computer from the kernel: /proc on Linux, sysctl on macOS.
#include "cli/machine.h"

#include <spdlog/fmt/fmt.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "cli/backend_facts.h"
#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif

namespace mlxs {
namespace {

constexpr std::array<std::string_view, 17> kFeatures = {
    "f16c",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve"
};

#ifdef __APPLE__
void read_cpu(Machine& machine) {
  std::array<char, 256> name{};
  std::size_t num_bytes = name.size() - 1;
  if (sysctlbyname("machdep.cpu.brand_string", name.data(), &num_bytes, nullptr, 0) == 0)
    machine.cpu = name.data();
  // Every CPU that MLX supports on macOS has NEON.
  machine.cpu_features = {"asimd"};
}
#else
// RETURNS: the value of the first line "KEY : VALUE" of /proc/cpuinfo; empty where there is none.
std::string cpuinfo_value(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const std::size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

void read_cpu(Machine& machine) {
  machine.cpu = cpuinfo_value("model name");
  std::istringstream words(cpuinfo_value("flags") + " " + cpuinfo_value("Features"));
  std::set<std::string, std::less<> > flags;
  for (std::string word; words >> word;) flags.insert(word);
  for (const std::string_view feature : kFeatures) {
    if (flags.contains(feature)) machine.cpu_features.emplace_back(feature);
  }
}
#endif

int usable_cores() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

Machine read_machine() {
  Machine machine;
  utsname names{};
  if (uname(&names) == 0)
    machine.system = fmt::format("{} {} {}", names.sysname, names.release, names.machine);
  read_cpu(machine);
  machine.num_cores = usable_cores();
  machine.memory_bytes = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  getloadavg(&machine.load_average, 1);
  return machine;
}

json::object machine_json(const Machine& machine, const BackendFacts& backend) {
  json::object result{
      {"system", machine.system},
      {"cpu", machine.cpu},
      {"cpu_features", json::value_from(machine.cpu_features)},
      {"cpu_path", backend.cpu_path},
      {"cores", machine.num_cores},
      {"memory_bytes", machine.memory_bytes},
      {"load_average", machine.load_average},
      {"gpu", nullptr}
  };
  if (backend.backend != "cpu") {
    result["gpu"] = json::object{
        {"name", backend.device_name},
        {"architecture", backend.device_architecture},
        {"memory_bytes", backend.device_memory_bytes}
    };
  }
  return result;
}

}  // namespace mlxs
