// From Linux' /proc; on other systems there are none.
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"

namespace mlxs {
namespace {

// Places in /proc/self/stat after the name's closing bracket, from 0; see proc(5).
constexpr std::size_t kUserTicks = 11;
constexpr std::size_t kSystemTicks = 12;
constexpr std::size_t kThreads = 17;
constexpr std::size_t kStartTicks = 19;
constexpr std::size_t kVirtualBytes = 20;
constexpr std::size_t kResidentPages = 21;

std::vector<double> process_fields() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return {};
  std::istringstream rest(text.substr(end_of_name + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields = {0.0};  // the state's place
  double field = 0.0;
  while (rest >> field) fields.push_back(field);
  return fields;
}

// RETURNS: when the machine started, in seconds of the epoch.
std::optional<double> boot_time() {
  std::ifstream file("/proc/stat");
  std::string word;
  while (file >> word) {
    double value = 0.0;
    if (word == "btime" && file >> value) return value;
  }
  return std::nullopt;
}

}  // namespace

void add_process_figures(FamilyList& list) {
  const std::vector<double> fields = process_fields();
  if (fields.size() <= kResidentPages) return;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  list.counter(
      {"process_cpu_seconds_total", "User and system CPU time of the process."},
      {},
      (fields[kUserTicks] + fields[kSystemTicks]) / ticks
  );
  list.gauge(
      {"process_resident_memory_bytes", "Resident memory of the process."},
      {},
      fields[kResidentPages] * static_cast<double>(sysconf(_SC_PAGESIZE))
  );
  list.gauge(
      {"process_virtual_memory_bytes", "Virtual memory of the process."}, {}, fields[kVirtualBytes]
  );
  list.gauge({"process_threads", "Threads of the process."}, {}, fields[kThreads]);
  if (const auto boot = boot_time())
    list.gauge(
        {"process_start_time_seconds", "When the process started, in seconds of the epoch."},
        {},
        *boot + fields[kStartTicks] / ticks
    );
}

}  // namespace mlxs
