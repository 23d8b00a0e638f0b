// What the kernels are written in: 16-bit floats as raw bits, vector loads, and the tensor cores'
// product. MLXS_HALF is 0 for bfloat16, 1 for float16. testing/emulator.h has the same functions
// for a CPU, so that the kernels' logic is tested where there is no GPU.
#pragma once

namespace mlxs::cuda {

using Half = unsigned short;

#ifndef MLXS_EMULATED

struct alignas(16) Vec4 {
  unsigned int x, y, z, w;
};
struct alignas(8) Vec2 {
  unsigned int x, y;
};

__device__ __forceinline__ float low_float(unsigned int pair) {
#if MLXS_HALF == 0
  return __uint_as_float(pair << 16);
#else
  float result;
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(result) : "r"(pair));
  return result;
#endif
}

__device__ __forceinline__ float high_float(unsigned int pair) {
#if MLXS_HALF == 0
  return __uint_as_float(pair & 0xffff0000U);
#else
  float result;
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(result) : "r"(pair));
  return result;
#endif
}

__device__ __forceinline__ unsigned int pack_halves(float low, float high) {
  unsigned int result;
#if MLXS_HALF == 0
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
#else
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
#endif
  return result;
}

// a * b + c on both halves of each.
__device__ __forceinline__ unsigned int fma_halves(unsigned int a, unsigned int b, unsigned int c) {
  unsigned int result;
#if MLXS_HALF == 0
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
#else
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
#endif
  return result;
}

__device__ __forceinline__ unsigned int permute_bytes(
    unsigned int a, unsigned int b, unsigned int selector
) {
  return __byte_perm(a, b, selector);
}

// c [16, 8] += a [16, 16] b [16, 8]; fragments as the PTX manual lays out m16n8k16.
__device__ __forceinline__ void multiply_tile(
    float (&c)[4], const unsigned int (&a)[4], unsigned int b0, unsigned int b1
) {
#if MLXS_HALF == 0
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)
  );
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)
  );
#endif
}

// Weights are read once: past the first-level cache, which the activations need.
__device__ __forceinline__ Vec4 load_streamed(const void* address) {
  Vec4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address));
  return v;
}

// Written by an earlier kernel only.
__device__ __forceinline__ Vec4 load_constant(const void* address) {
  Vec4 v;
  asm volatile("ld.global.nc.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address));
  return v;
}

#endif

__device__ __forceinline__ Vec4 load16(const void* address) {
  return *static_cast<const Vec4*>(address);
}
__device__ __forceinline__ Vec2 load8(const void* address) {
  return *static_cast<const Vec2*>(address);
}

__device__ __forceinline__ float to_float(Half bits) { return low_float(bits); }
__device__ __forceinline__ Half to_half(float value) {
  return static_cast<Half>(pack_halves(value, 0.0F) & 0xffffU);
}
__device__ __forceinline__ unsigned int repeat_half(Half bits) {
  return static_cast<unsigned int>(bits) * 0x10001U;
}

// The eight halves of v as floats.
__device__ __forceinline__ void unpack8(const Vec4& v, float (&values)[8]) {
  values[0] = low_float(v.x);
  values[1] = high_float(v.x);
  values[2] = low_float(v.y);
  values[3] = high_float(v.y);
  values[4] = low_float(v.z);
  values[5] = high_float(v.z);
  values[6] = low_float(v.w);
  values[7] = high_float(v.w);
}

__device__ __forceinline__ float warp_sum(float value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  return value;
}

__device__ __forceinline__ float activate(float gate, int activation) {
  if (activation == 0) return gate / (1.0F + __expf(-gate));
  const float inner = 0.7978845608F * (gate + 0.044715F * gate * gate * gate);
  return 0.5F * gate * (1.0F + tanhf(inner));
}

}  // namespace mlxs::cuda
