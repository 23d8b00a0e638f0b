// Numbers for the salts of prompt caches: exact, so that no collision of a hash can bring two
// tenants together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace mlxs {

// Thread safety: none; the device thread owns it.
class SaltTable {
 public:
  // RETURNS: 0 for no salt, else a number that no other salt has or had. Beyond kMaxSalts salts all
  // are forgotten, and what was cached under them is not found again.
  [[nodiscard]] std::uint64_t number_of(const std::string& salt) {
    if (salt.empty()) return 0;
    if (numbers_.size() >= kMaxSalts && !numbers_.contains(salt)) numbers_.clear();
    const auto [entry, is_new] = numbers_.try_emplace(salt, next_);
    if (is_new) ++next_;
    return entry->second;
  }

 private:
  static constexpr std::size_t kMaxSalts = 65'536;

  std::unordered_map<std::string, std::uint64_t> numbers_;
  std::uint64_t next_ = 1;
};

}  // namespace mlxs
