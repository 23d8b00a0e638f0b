// What an object with threads does in a process that was forked from its own: nothing at all, as
// the threads are not there and their locks may be held for ever.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace mlxs {

// RETURNS: whether this process is not the one that `process_id` names.
[[nodiscard]] inline bool is_forked_from(pid_t process_id) { return getpid() != process_id; }

// Lets what `pointer` holds live until the process ends.
template <typename T>
void leak(std::shared_ptr<T> pointer) {
  static_cast<void>(std::make_unique<std::shared_ptr<T>>(std::move(pointer)).release());
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): a leak is what it is for
}

}  // namespace mlxs
