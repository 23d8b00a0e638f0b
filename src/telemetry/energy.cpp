// NVML's functions that are used, by their names in its stable interface (nvml.h is not needed).
#include "telemetry/energy.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"

namespace mlxs {
namespace {

constexpr double kMicro = 1e-6;
constexpr double kMilli = 1e-3;

template <typename T>
std::optional<T> read_value(const std::filesystem::path& path) {
  std::ifstream file(path);
  T value{};
  if (!(file >> value)) return std::nullopt;
  return value;
}

}  // namespace

// What has no answer from the library is no GPU of ours.
class EnergyMeter::Nvml {
 public:
  // RETURNS: null where the library, or a GPU that counts its energy, is missing.
  static std::unique_ptr<Nvml> open(const std::string& name) {
    void* library = name.empty() ? nullptr : dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return nullptr;
    auto nvml = std::unique_ptr<Nvml>(new Nvml(library));
    return nvml->begin_.empty() ? nullptr : std::move(nvml);
  }

  ~Nvml() {
    if (shutdown_ != nullptr) shutdown_();
    dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  void read(std::vector<EnergyReading>& readings) const {
    for (std::size_t i = 0; i < begin_.size(); ++i) {
      unsigned long long now = 0;
      if (energy_(devices_[i], &now) != 0) continue;
      readings.push_back(
          {.domain = "gpu-" + std::to_string(i),
           .joules = static_cast<double>(now - begin_[i]) * kMilli}
      );
    }
  }

 private:
  using Device = void*;

  explicit Nvml(void* library) : library_(library) {
    const auto init = function<int (*)()>("nvmlInit_v2");
    const auto count_of = function<int (*)(unsigned*)>("nvmlDeviceGetCount_v2");
    const auto device_at = function<int (*)(unsigned, Device*)>("nvmlDeviceGetHandleByIndex_v2");
    energy_ = function<int (*)(Device, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
    const bool is_whole = init && count_of && device_at && energy_;
    if (!is_whole || init() != 0) return;
    shutdown_ = function<int (*)()>("nvmlShutdown");
    unsigned count = 0;
    if (count_of(&count) != 0) return;
    for (unsigned i = 0; i < count; ++i) {
      Device device = nullptr;
      unsigned long long begin = 0;
      if (device_at(i, &device) != 0 || energy_(device, &begin) != 0) continue;
      devices_.push_back(device);
      begin_.push_back(begin);
    }
  }

  template <typename Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(dlsym(library_, name));
  }

  void* library_;
  int (*energy_)(Device, unsigned long long*) = nullptr;  // millijoules since the driver was loaded
  int (*shutdown_)() = nullptr;
  std::vector<Device> devices_;
  std::vector<unsigned long long> begin_;
};

EnergySources EnergySources::of_this_machine() {
  return {.powercap = "/sys/class/powercap", .nvml = "libnvidia-ml.so.1"};
}

EnergyMeter::EnergyMeter(const EnergySources& sources) : nvml_(Nvml::open(sources.nvml)) {
  std::vector<Package> packages;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(sources.powercap, none)) {
    // "intel-rapl:0" is a package, also AMD's; "intel-rapl:0:1" a part of it.
    const std::string folder = entry.path().filename().string();
    if (std::ranges::count(folder, ':') != 1) continue;
    const auto name = read_value<std::string>(entry.path() / "name");
    const auto range = read_value<std::uint64_t>(entry.path() / "max_energy_range_uj");
    const std::filesystem::path file = entry.path() / "energy_uj";
    const auto now = read_value<std::uint64_t>(file);
    if (!name || !range || !now || !name->starts_with("package")) continue;
    packages.push_back({.name = *name, .file = file, .range_uj = *range, .last_uj = *now});
  }
  std::ranges::sort(packages, {}, &Package::name);
  MutexLock lock(mutex_);
  packages_ = std::move(packages);
}

EnergyMeter::~EnergyMeter() = default;

std::vector<EnergyReading> EnergyMeter::read() const {
  std::vector<EnergyReading> readings;
  MutexLock lock(mutex_);
  for (Package& package : packages_) {
    const auto now = read_value<std::uint64_t>(package.file);
    if (!now) continue;
    const std::uint64_t used = *now >= package.last_uj ? *now - package.last_uj
                                                       : *now + package.range_uj - package.last_uj;
    package.joules += static_cast<double>(used) * kMicro;
    package.last_uj = *now;
    readings.push_back({.domain = package.name, .joules = package.joules});
  }
  if (nvml_) nvml_->read(readings);
  return readings;
}

}  // namespace mlxs
