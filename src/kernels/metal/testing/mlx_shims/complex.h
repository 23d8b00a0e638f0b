// In place of MLX's complex.h, whose constructors differ by address space alone: as much of it as
// the kernels that the harness runs name. None of them computes with complex numbers.
#pragma once

template <typename T>
struct complex_t {
  using value_type = T;
  T real;
  T imag;
  constexpr complex_t(T r, T i) : real(r), imag(i) {}
  constexpr complex_t() : real(0), imag(0) {}
  template <typename U>
    requires std::is_convertible_v<U, T>
  constexpr complex_t(U x) : real(static_cast<T>(x)), imag(0) {}
  constexpr explicit operator float() const { return static_cast<float>(real); }
  constexpr complex_t operator-() const { return {-real, -imag}; }
};
template <typename T>
inline constexpr bool is_complex_v = false;
template <typename T>
inline constexpr bool is_complex_v<complex_t<T>> = true;
// Plain functions, so that either side may be a number.
typedef complex_t<float> complex64_t;
constexpr bool operator==(complex64_t a, complex64_t b) {
  return a.real == b.real && a.imag == b.imag;
}
constexpr bool operator<(complex64_t a, complex64_t b) {
  return a.real < b.real || (a.real == b.real && a.imag < b.imag);
}
constexpr bool operator>(complex64_t a, complex64_t b) { return b < a; }
constexpr bool operator<=(complex64_t a, complex64_t b) { return !(b < a); }
constexpr bool operator>=(complex64_t a, complex64_t b) { return !(a < b); }
constexpr complex64_t operator+(complex64_t a, complex64_t b) {
  return {a.real + b.real, a.imag + b.imag};
}
constexpr complex64_t operator-(complex64_t a, complex64_t b) {
  return {a.real - b.real, a.imag - b.imag};
}
constexpr complex64_t operator*(complex64_t a, complex64_t b) {
  return {a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real};
}
constexpr complex64_t operator/(complex64_t a, complex64_t b) {
  const float size = b.real * b.real + b.imag * b.imag;
  return {(a.real * b.real + a.imag * b.imag) / size, (a.imag * b.real - a.real * b.imag) / size};
}
constexpr complex64_t operator%(complex64_t a, complex64_t b) {
  return a - b * complex64_t(static_cast<float>(static_cast<int>((a / b).real)));
}
