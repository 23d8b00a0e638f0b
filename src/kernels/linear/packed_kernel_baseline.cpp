// packed_linear() for any processor of the target architecture, in the compiler's own vectors.
#include <cstdint>
#include <cstring>

#include "kernels/linear/quantize_kernel.inc"

namespace mlxs {
namespace {

struct Isa {
  static constexpr int kLanes = 4;
  static constexpr int kTileVectors = 4;
  static constexpr int kAffineRows = 2;
  static constexpr int kDenseRows = 2;
  static constexpr int kOffset8 = 0;
  static constexpr bool kHasInt8For8Bits = false;
  static constexpr bool kHasInt16 = true;

  using Floats = float __attribute__((vector_size(16)));
  using SignedWords = std::int32_t __attribute__((vector_size(16)));
  using UnsignedWords = std::uint32_t __attribute__((vector_size(16)));
  using Halves = std::int16_t __attribute__((vector_size(16)));
  using UnsignedHalves = std::uint16_t __attribute__((vector_size(16)));
  using Bytes = std::uint8_t __attribute__((vector_size(16)));
  struct Quad {  // of 8-bit activations
    Halves even, odd;
  };
  using Pairs = Quad;

  static Floats zero() { return Floats{}; }
  static Floats broadcast(float x) { return Floats{x, x, x, x}; }
  static Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
  }
  static Floats add(Floats a, Floats b) { return a + b; }
  static Floats multiply(Floats a, Floats b) { return a * b; }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
  static Floats load_some(const float* from, int count) {
    Floats x{};
    for (int lane = 0; lane < kLanes; ++lane) x[lane] = lane < count ? from[lane] : 0.0F;
    return x;
  }
  static void store_some(Floats x, float* to, int count) {
    for (int lane = 0; lane < count; ++lane) to[lane] = x[lane];
  }
  static void keep(Floats& /*x*/) {}

  static Floats as_floats(const UnsignedWords& bits) {
    Floats x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static UnsignedWords load_halves(const unsigned char* from) {
    using FourHalves = std::uint16_t __attribute__((vector_size(8)));
    FourHalves halves;
    std::memcpy(&halves, from, sizeof halves);
    return __builtin_convertvector(halves, UnsignedWords);
  }
  static Floats load_float32(const unsigned char* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
  }
  static Floats load_bfloat16(const unsigned char* from) {
    return as_floats(load_halves(from) << 16);
  }
  // The exponent is rebased by a product, which is exact and takes subnormal numbers along;
  // infinities and NaNs keep theirs.
  static Floats load_float16(const unsigned char* from) {
    const UnsignedWords halves = load_halves(from);
    const UnsignedWords magnitude = (halves & 0x7FFFU) << 13;
    const Floats finite = as_floats(magnitude) * 0x1p112F;
    const Floats special = as_floats(magnitude | 0x7F800000U);
    const Floats value = magnitude >= 0x0F800000U ? special : finite;
    UnsignedWords bits;
    std::memcpy(&bits, &value, sizeof bits);
    return as_floats(bits | ((halves & 0x8000U) << 16));
  }

  using Words = UnsignedWords;
  static Words load_words(const unsigned char* from) {
    Words words;
    std::memcpy(&words, from, sizeof words);
    return words;
  }
  template <int Shift, int Bits>
  static Floats code_floats(const Words& words) {
    const Words codes = (words >> Shift) & ((1U << Bits) - 1U);
    return __builtin_convertvector(reinterpret_cast<SignedWords>(codes), Floats);
  }

  // Codes of four columns as two vectors of words.
  struct Codes16 {
    Halves even, odd;
  };
  using Codes4 = Codes16;
  using Codes8 = Codes16;

  static void split(const Bytes& bytes, Codes16& words) {
    UnsignedHalves halves;
    std::memcpy(&halves, &bytes, sizeof halves);
    words.even = reinterpret_cast<Halves>(halves & 0xFF);
    words.odd = reinterpret_cast<Halves>(halves >> 8);
  }
  static Bytes load_bytes(const unsigned char* from) {
    Bytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
  }
  static void load_codes4(const unsigned char* from, Codes16& low, Codes16& high) {
    const Bytes packed = load_bytes(from);
    split(packed & 15, low);
    split(packed >> 4, high);
  }
  static void load_codes8(const unsigned char* from, Codes16& codes) {
    split(load_bytes(from), codes);
  }

  static Halves broadcast_pair(std::int16_t a, std::int16_t b) {
    return Halves{a, b, a, b, a, b, a, b};
  }
  static Quad broadcast_codes(const std::int8_t* x) {
    return {broadcast_pair(x[0], x[2]), broadcast_pair(x[1], x[3])};
  }
  static Pairs broadcast_codes(const std::int16_t* x) {
    return {broadcast_pair(x[0], x[1]), broadcast_pair(x[2], x[3])};
  }

  struct Sum16 {
    SignedWords words;
  };
  struct Sum4 {
    Halves halves;  // a group's 16 products of at most 15 * 127 fit
  };
  using Sum8 = Sum4;
  static void clear(Sum16& sum) { sum.words = SignedWords{}; }
  static void clear(Sum4& sum) { sum.halves = Halves{}; }
  static SignedWords first_of_pairs(const Halves& halves) {
    SignedWords words;
    std::memcpy(&words, &halves, sizeof words);
    return (words << 16) >> 16;
  }
  static SignedWords second_of_pairs(const Halves& halves) {
    SignedWords words;
    std::memcpy(&words, &halves, sizeof words);
    return words >> 16;
  }
  static Floats finish(const Sum16& sum) { return __builtin_convertvector(sum.words, Floats); }
  static Floats finish(const Sum4& sum) {
    return __builtin_convertvector(
        first_of_pairs(sum.halves) + second_of_pairs(sum.halves), Floats
    );
  }
  static Floats finish_with(const Sum16& sum, std::int32_t correction) {
    return __builtin_convertvector(sum.words + correction, Floats);
  }
  static Floats finish_with(const Sum4& sum, std::int32_t correction) {
    return __builtin_convertvector(
        first_of_pairs(sum.halves) + second_of_pairs(sum.halves) + correction, Floats
    );
  }
  static void dot(Sum4& sum, const Codes4& codes, const Quad& quad) {
    sum.halves += codes.even * quad.even + codes.odd * quad.odd;
  }
  static void dot(Sum16& sum, const Codes16& codes, const Pairs& pairs) {
    sum.words += first_of_pairs(codes.even) * first_of_pairs(pairs.even);
    sum.words += second_of_pairs(codes.even) * second_of_pairs(pairs.even);
    sum.words += first_of_pairs(codes.odd) * first_of_pairs(pairs.odd);
    sum.words += second_of_pairs(codes.odd) * second_of_pairs(pairs.odd);
  }
};

}  // namespace
}  // namespace mlxs

#define MLXS_PACKED_KERNELS packed_kernels_baseline
#include "kernels/linear/packed_kernel.inc"
