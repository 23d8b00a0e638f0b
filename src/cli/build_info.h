// What was built: the version and the commit.
#pragma once

namespace mlxs {

inline constexpr const char* kVersion = MLXS_VERSION;

// RETURNS: the short commit of the tree that was built, "-dirty" with local changes; "unknown"
// outside of a clone.
[[nodiscard]] const char* build_commit();

}  // namespace mlxs
