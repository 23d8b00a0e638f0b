// The functions that -fsanitize=thread calls, without its runtime: each access goes to the harness.
#include <cstddef>

#include "kernels/metal/testing/harness.h"

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the compiler's names.
#define MLXS_ACCESS(SIZE)                                                                     \
  void __tsan_read##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, false); }           \
  void __tsan_write##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, true); }           \
  void __tsan_unaligned_read##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, false); } \
  void __tsan_unaligned_write##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, true); } \
  void __tsan_volatile_read##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, false); }  \
  void __tsan_volatile_write##SIZE(const void* at) { mlxs::msl::on_access(at, SIZE, true); }

// Those of the C++ library in a test's own code; kernels' atomic operations are the harness's.
#define MLXS_ATOMIC(BITS, TYPE)                                                    \
  TYPE __tsan_atomic##BITS##_load(const volatile TYPE* at, int /*order*/) {        \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                  \
  }                                                                                \
  void __tsan_atomic##BITS##_store(volatile TYPE* at, TYPE value, int /*order*/) { \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                 \
  }                                                                                \
  TYPE __tsan_atomic##BITS##_fetch_add(volatile TYPE* at, TYPE value, int) {       \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                        \
  }                                                                                \
  TYPE __tsan_atomic##BITS##_exchange(volatile TYPE* at, TYPE value, int) {        \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                       \
  }

extern "C" {
MLXS_ATOMIC(8, unsigned char)
MLXS_ATOMIC(32, unsigned int)
MLXS_ATOMIC(64, unsigned long)
void __tsan_init() {}
void __tsan_func_entry(void* /*caller*/) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void** /*at*/, void* /*value*/) {}
void __tsan_vptr_read(void** /*at*/) {}
MLXS_ACCESS(1)
MLXS_ACCESS(2)
MLXS_ACCESS(4)
MLXS_ACCESS(8)
MLXS_ACCESS(16)
void __tsan_read_range(const void* at, std::size_t size) { mlxs::msl::on_access(at, size, false); }
void __tsan_write_range(const void* at, std::size_t size) { mlxs::msl::on_access(at, size, true); }
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
