// On folders as Linux' powercap has them. What a real machine tells is not tested: it differs.
#include "telemetry/energy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace mlxs {
namespace {

class Energy : public ::testing::Test {
 protected:
  Energy() {
    std::filesystem::remove_all(root_);
    add("intel-rapl:0", "package-0", "1000000");
    add("intel-rapl:0:0", "core", "5");  // counted in its package already
    add("intel-rapl-mmio:0", "psys", "5");
  }
  ~Energy() override { std::filesystem::remove_all(root_); }

  void add(const std::string& folder, const std::string& name, const std::string& energy) const {
    std::filesystem::create_directories(root_ / folder);
    std::ofstream(root_ / folder / "name") << name << '\n';
    std::ofstream(root_ / folder / "max_energy_range_uj") << "10000000\n";
    std::ofstream(root_ / folder / "energy_uj") << energy << '\n';
  }

  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() /
      (std::string("mlxs_energy_") + ::testing::UnitTest::GetInstance()->current_test_info()->name()
      );
};

TEST_F(Energy, CountsFromTheStartAndOverTheCountersEnd) {
  const EnergyMeter meter({.powercap = root_});
  EXPECT_DOUBLE_EQ(meter.read().at(0).joules, 0.0);
  add("intel-rapl:0", "package-0", "3500000");
  std::vector<EnergyReading> readings = meter.read();
  ASSERT_EQ(readings.size(), 1U);
  EXPECT_EQ(readings[0].domain, "package-0");
  EXPECT_DOUBLE_EQ(readings[0].joules, 2.5);
  add("intel-rapl:0", "package-0", "500000");  // 6.5 J to the end, 0.5 J from the beginning
  EXPECT_DOUBLE_EQ(meter.read().at(0).joules, 9.5);
}

TEST_F(Energy, IsAbsentWhereTheMachineDoesNotTell) {
  EXPECT_TRUE(EnergyMeter(EnergySources{}).read().empty());
  EXPECT_TRUE(
      EnergyMeter({.powercap = root_ / "none", .nvml = "libno-such-library.so"}).read().empty()
  );
  std::filesystem::remove(root_ / "intel-rapl:0" / "energy_uj");
  EXPECT_TRUE(EnergyMeter({.powercap = root_}).read().empty());
}

}  // namespace
}  // namespace mlxs
