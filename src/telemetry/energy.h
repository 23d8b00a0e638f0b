// The energy that the machine says it has used: Intel's and AMD's RAPL through Linux' powercap,
// NVIDIA's GPUs through NVML, which is looked up at run time. Where the machine tells nothing, or
// not to this user, there is nothing: never a zero.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_annotations.h"

namespace mlxs {

struct EnergySources {
  std::filesystem::path powercap = {};  // folder of the packages; empty: none
  std::string nvml = {};                // the library; empty: none

  // RETURNS: those of a real machine.
  [[nodiscard]] static EnergySources of_this_machine();
};

struct EnergyReading {
  std::string domain = {};  // "package-0", "gpu-0"
  double joules = 0.0;      // since the meter was made
};

// Thread safety: all members from any thread.
class EnergyMeter {
 public:
  explicit EnergyMeter(const EnergySources& sources);
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  // RETURNS: what each domain has used. RAPL's counters begin anew after some minutes to hours of
  // load, so somebody has to read more often than that; a scraper does.
  [[nodiscard]] std::vector<EnergyReading> read() const;

 private:
  struct Package {
    std::string name;
    std::filesystem::path file;
    std::uint64_t range_uj = 0;  // where the counter begins anew
    std::uint64_t last_uj = 0;
    double joules = 0.0;
  };
  class Nvml;

  mutable Mutex mutex_;
  mutable std::vector<Package> packages_ MLXS_GUARDED_BY(mutex_);
  std::unique_ptr<Nvml> nvml_;  // null: none
};

}  // namespace mlxs
