// The files and their fields are described in proc(5).
#include "http/process_usage.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

namespace mlxs::bench {

ProcessUsage usage_of(int process_id) {
  const std::string folder = fmt::format("/proc/{}", process_id);
  ProcessUsage usage;
  using Entries = std::filesystem::directory_iterator;
  usage.num_descriptors = static_cast<int>(std::distance(Entries(folder + "/fd"), Entries()));
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  if (!(std::ifstream(folder + "/statm") >> total_pages >> resident_pages))
    throw std::runtime_error("cannot read the memory of process " + std::to_string(process_id));
  usage.resident_bytes = resident_pages * ::sysconf(_SC_PAGESIZE);

  std::ifstream file(folder + "/stat");
  std::string line;
  std::getline(file, line);
  // The name, in parentheses, may hold anything; user and system time are the 12th and 13th after.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string ignored;
  for (int i = 0; i < 11; ++i) fields >> ignored;
  double user_ticks = 0.0;
  double system_ticks = 0.0;
  fields >> user_ticks >> system_ticks;
  usage.cpu_us = (user_ticks + system_ticks) * 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return usage;
}

}  // namespace mlxs::bench
