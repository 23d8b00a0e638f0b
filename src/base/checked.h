// Overflow-checked arithmetic for every size that comes from a file or the network.
#pragma once

#include <concepts>
#include <optional>
#include <utility>

namespace mlxs {

// RETURNS: the result, or nothing where it does not fit in T.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// RETURNS: `value` as a To, or nothing where To cannot hold it.
template <std::integral To, std::integral From>
[[nodiscard]] constexpr std::optional<To> checked_narrow(From value) {
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

// RETURNS: the smallest multiple of `alignment` that is at least `value`, or nothing on overflow.
// REQUIRES: alignment > 0.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_align_up(T value, T alignment) {
  const auto padded = checked_add<T>(value, alignment - 1);
  if (!padded) return std::nullopt;
  return *padded - *padded % alignment;
}

}  // namespace mlxs
