// packed_linear() for x86-64 with AVX2, FMA and F16C; the build gives this file the flags.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/linear/quantize_kernel.inc"

namespace mlxs {
namespace {

struct Isa {
  static constexpr int kLanes = 8;
  static constexpr int kTileVectors = 2;
  static constexpr int kAffineRows = 4;
  static constexpr int kDenseRows = 6;
  static constexpr int kOffset8 = 0;
  // vpmaddubsw saturates with 8-bit weights; words cost no more.
  static constexpr bool kHasInt8For8Bits = false;
  static constexpr bool kHasInt16 = true;

  using Floats = __m256;
  using Quad = __m256i;
  struct Pairs {
    __m256i even, odd;
  };

  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats broadcast(float x) { return _mm256_set1_ps(x); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static __m256i mask(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Floats load_some(const float* from, int count) {
    return _mm256_maskload_ps(from, mask(count));
  }
  static void store_some(Floats x, float* to, int count) {
    _mm256_maskstore_ps(to, mask(count), x);
  }
  static void keep(Floats& /*x*/) {}

  static Floats load_float32(const unsigned char* from) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  }
  static Floats load_float16(const unsigned char* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Floats load_bfloat16(const unsigned char* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }

  using Words = __m256i;
  static Words load_words(const unsigned char* from) { return load_bytes(from); }
  template <int Shift, int Bits>
  static Floats code_floats(Words words) {
    const __m256i shifted = Shift == 0 ? words : _mm256_srli_epi32(words, Shift);
    if constexpr (Shift + Bits == 32) return _mm256_cvtepi32_ps(shifted);
    return _mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32((1 << Bits) - 1)));
  }

  // Codes of four columns as bytes, or as two vectors of words.
  struct Codes4 {
    __m256i bytes;
  };
  struct Codes16 {
    __m256i even, odd;
  };
  using Codes8 = Codes4;

  static __m256i load_bytes(const unsigned char* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void load_codes4(const unsigned char* from, Codes4& low, Codes4& high) {
    const __m256i nibbles = _mm256_set1_epi8(15);
    const __m256i packed = load_bytes(from);
    low.bytes = _mm256_and_si256(packed, nibbles);
    high.bytes = _mm256_and_si256(_mm256_srli_epi16(packed, 4), nibbles);
  }
  static void split(__m256i bytes, Codes16& words) {
    words.even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xFF));
    words.odd = _mm256_srli_epi16(bytes, 8);
  }
  static void load_codes4(const unsigned char* from, Codes16& low, Codes16& high) {
    Codes4 low_bytes;
    Codes4 high_bytes;
    load_codes4(from, low_bytes, high_bytes);
    split(low_bytes.bytes, low);
    split(high_bytes.bytes, high);
  }
  static void load_codes8(const unsigned char* from, Codes16& codes) {
    split(load_bytes(from), codes);
  }

  static __m256i broadcast_word(const void* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return _mm256_set1_epi32(word);
  }
  static Quad broadcast_codes(const std::int8_t* x) { return broadcast_word(x); }
  static Pairs broadcast_codes(const std::int16_t* x) {
    return {broadcast_word(x), broadcast_word(x + 2)};
  }

  struct Sum16 {
    __m256i words;
  };
  struct Sum4 {
    __m256i halves;  // int16: a group's 16 products of at most 15 * 127 fit
  };
  using Sum8 = Sum4;
  static void clear(Sum16& sum) { sum.words = _mm256_setzero_si256(); }
  static void clear(Sum4& sum) { sum.halves = _mm256_setzero_si256(); }
  static Floats finish(const Sum16& sum) { return _mm256_cvtepi32_ps(sum.words); }
  static Floats finish_with(const Sum16& sum, std::int32_t correction) {
    return _mm256_cvtepi32_ps(_mm256_add_epi32(sum.words, _mm256_set1_epi32(correction)));
  }
  static Sum16 widen(const Sum4& sum) {
    return {_mm256_madd_epi16(sum.halves, _mm256_set1_epi16(1))};
  }
  static Floats finish(const Sum4& sum) { return finish(widen(sum)); }
  static Floats finish_with(const Sum4& sum, std::int32_t correction) {
    return finish_with(widen(sum), correction);
  }
  static void dot(Sum4& sum, const Codes4& codes, Quad quad) {
    sum.halves = _mm256_add_epi16(sum.halves, _mm256_maddubs_epi16(codes.bytes, quad));
    asm("" : "+x"(sum.halves));
  }
  static void dot(Sum16& sum, const Codes16& codes, const Pairs& pairs) {
    sum.words = _mm256_add_epi32(sum.words, _mm256_madd_epi16(codes.even, pairs.even));
    sum.words = _mm256_add_epi32(sum.words, _mm256_madd_epi16(codes.odd, pairs.odd));
    asm("" : "+x"(sum.words));
  }
};

}  // namespace
}  // namespace mlxs

#define MLXS_PACKED_KERNELS packed_kernels_avx2
#include "kernels/linear/packed_kernel.inc"
