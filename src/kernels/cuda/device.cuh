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
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
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

// Four 8 by 8 matrices of halves from shared memory, as the right operand of multiply_tile() wants
// them: each lane names a row of 16 bytes, eight lanes a matrix. result[m] has row lane / 4 of
// matrix m, columns 2 * (lane % 4) and the next.
__device__ __forceinline__ void load_matrices(unsigned int (&result)[4], const void* row) {
  const unsigned int address = static_cast<unsigned int>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
               : "r"(address)
               : "memory");
}

// The same of the matrices' transposes.
__device__ __forceinline__ void load_transposed(unsigned int (&result)[4], const void* row) {
  const unsigned int address = static_cast<unsigned int>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
               : "r"(address)
               : "memory");
}

// An 8 by 8 matrix of halves over a warp, of which a lane has row lane / 4, columns 2 * (lane % 4)
// and the next: its transpose in the same layout.
__device__ __forceinline__ unsigned int transpose_matrix(unsigned int pair) {
  unsigned int result;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(pair));
  return result;
}

// Starts copying 16 bytes to shared memory, or zeros where `is_inside` does not hold. Copies belong
// to the group that the next close_copies() closes.
__device__ __forceinline__ void start_copy(void* shared, const void* global, bool is_inside) {
  const unsigned int address = static_cast<unsigned int>(__cvta_generic_to_shared(shared));
  const int size = is_inside ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
               :
               : "r"(address), "l"(global), "r"(size)
               : "memory");
}
__device__ __forceinline__ void close_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most kNumOpen of this thread's latest groups are under way.
template <int kNumOpen>
__device__ __forceinline__ void await_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(kNumOpen) : "memory");
}

// A kernel may start while the one before it on the stream still runs: what that one writes may be
// read, and what it reads be written, after await_previous() only. Every block passes there, so
// that no kernel ends before the ones ahead of it.
__device__ __forceinline__ void await_previous() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
__device__ __forceinline__ void let_next_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

#define MLXS_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

#endif

__device__ __forceinline__ Vec4 load16(const void* address) {
  return *static_cast<const Vec4*>(address);
}
__device__ __forceinline__ Vec2 load8(const void* address) {
  return *static_cast<const Vec2*>(address);
}

__device__ __forceinline__ unsigned int word_at(const Vec4& v, int index) {
  return index == 0 ? v.x : index == 1 ? v.y : index == 2 ? v.z : v.w;
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
