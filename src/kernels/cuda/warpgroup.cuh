// Products of a warpgroup: four warps multiply 16 rows each, in registers, with a tile in shared
// memory, while they go on. testing/emulator.h has the same functions for a CPU.
#pragma once

namespace mlxs::cuda {

#ifndef MLXS_EMULATED

#if MLXS_HALF == 0
#define MLXS_HALF_NAME "bf16"
#else
#define MLXS_HALF_NAME "f16"
#endif

// What the hardware wants to know of the right operand: columns `step` * 16 of a slab of rows of 64
// halves, 128 bytes each, whose 16-byte units are swizzled by the row in groups of eight rows.
__device__ __forceinline__ unsigned long long group_operand(const void* slab, int step) {
  const unsigned int address =
      static_cast<unsigned int>(__cvta_generic_to_shared(slab)) + 32 * step;
  constexpr unsigned long long kGroupOfRows = 1024 >> 4;
  constexpr unsigned long long kSwizzle128 = 1;
  return ((address & 0x3ffffU) >> 4) | (1ULL << 16) | (kGroupOfRows << 32) | (kSwizzle128 << 62);
}

// d [16, kRows] += a [16, 16] b [16, kRows] for each warp: d as multiply_tile() lays out kRows / 8
// tiles one after another, b being columns 16 step to 16 step + 15 of the slab's kRows rows.
template <int kRows>
__device__ __forceinline__ void multiply_group(
    float (&d)[kRows / 2], const unsigned int (&a)[4], const void* slab, int step
);

template <>
__device__ __forceinline__ void multiply_group<16>(
    float (&d)[8], const unsigned int (&a)[4], const void* slab, int step
) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0;"
      "wgmma.mma_async.sync.aligned.m64n16k16.f32." MLXS_HALF_NAME "." MLXS_HALF_NAME
      " "
      "{%0,%1,%2,%3,%4,%5,%6,%7}, "
      "{%8, %9, %10, %11}, %12, p, 1, 1, 0;}"
      : "+f"(d[0]),
        "+f"(d[1]),
        "+f"(d[2]),
        "+f"(d[3]),
        "+f"(d[4]),
        "+f"(d[5]),
        "+f"(d[6]),
        "+f"(d[7])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(group_operand(slab, step))
  );
}

template <>
__device__ __forceinline__ void multiply_group<32>(
    float (&d)[16], const unsigned int (&a)[4], const void* slab, int step
) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0;"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32." MLXS_HALF_NAME "." MLXS_HALF_NAME
      " "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
      "{%16, %17, %18, %19}, %20, p, 1, 1, 0;}"
      : "+f"(d[0]),
        "+f"(d[1]),
        "+f"(d[2]),
        "+f"(d[3]),
        "+f"(d[4]),
        "+f"(d[5]),
        "+f"(d[6]),
        "+f"(d[7]),
        "+f"(d[8]),
        "+f"(d[9]),
        "+f"(d[10]),
        "+f"(d[11]),
        "+f"(d[12]),
        "+f"(d[13]),
        "+f"(d[14]),
        "+f"(d[15])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(group_operand(slab, step))
  );
}

template <>
__device__ __forceinline__ void multiply_group<64>(
    float (&d)[32], const unsigned int (&a)[4], const void* slab, int step
) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0;"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." MLXS_HALF_NAME "." MLXS_HALF_NAME
      " "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"
      "%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "{%32, %33, %34, %35}, %36, p, 1, 1, 0;}"
      : "+f"(d[0]),
        "+f"(d[1]),
        "+f"(d[2]),
        "+f"(d[3]),
        "+f"(d[4]),
        "+f"(d[5]),
        "+f"(d[6]),
        "+f"(d[7]),
        "+f"(d[8]),
        "+f"(d[9]),
        "+f"(d[10]),
        "+f"(d[11]),
        "+f"(d[12]),
        "+f"(d[13]),
        "+f"(d[14]),
        "+f"(d[15]),
        "+f"(d[16]),
        "+f"(d[17]),
        "+f"(d[18]),
        "+f"(d[19]),
        "+f"(d[20]),
        "+f"(d[21]),
        "+f"(d[22]),
        "+f"(d[23]),
        "+f"(d[24]),
        "+f"(d[25]),
        "+f"(d[26]),
        "+f"(d[27]),
        "+f"(d[28]),
        "+f"(d[29]),
        "+f"(d[30]),
        "+f"(d[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(group_operand(slab, step))
  );
}

template <>
__device__ __forceinline__ void multiply_group<128>(
    float (&d)[64], const unsigned int (&a)[4], const void* slab, int step
) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, 1, 0;"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." MLXS_HALF_NAME "." MLXS_HALF_NAME
      " "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"
      "%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,"
      "%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
      "{%64, %65, %66, %67}, %68, p, 1, 1, 0;}"
      : "+f"(d[0]),
        "+f"(d[1]),
        "+f"(d[2]),
        "+f"(d[3]),
        "+f"(d[4]),
        "+f"(d[5]),
        "+f"(d[6]),
        "+f"(d[7]),
        "+f"(d[8]),
        "+f"(d[9]),
        "+f"(d[10]),
        "+f"(d[11]),
        "+f"(d[12]),
        "+f"(d[13]),
        "+f"(d[14]),
        "+f"(d[15]),
        "+f"(d[16]),
        "+f"(d[17]),
        "+f"(d[18]),
        "+f"(d[19]),
        "+f"(d[20]),
        "+f"(d[21]),
        "+f"(d[22]),
        "+f"(d[23]),
        "+f"(d[24]),
        "+f"(d[25]),
        "+f"(d[26]),
        "+f"(d[27]),
        "+f"(d[28]),
        "+f"(d[29]),
        "+f"(d[30]),
        "+f"(d[31]),
        "+f"(d[32]),
        "+f"(d[33]),
        "+f"(d[34]),
        "+f"(d[35]),
        "+f"(d[36]),
        "+f"(d[37]),
        "+f"(d[38]),
        "+f"(d[39]),
        "+f"(d[40]),
        "+f"(d[41]),
        "+f"(d[42]),
        "+f"(d[43]),
        "+f"(d[44]),
        "+f"(d[45]),
        "+f"(d[46]),
        "+f"(d[47]),
        "+f"(d[48]),
        "+f"(d[49]),
        "+f"(d[50]),
        "+f"(d[51]),
        "+f"(d[52]),
        "+f"(d[53]),
        "+f"(d[54]),
        "+f"(d[55]),
        "+f"(d[56]),
        "+f"(d[57]),
        "+f"(d[58]),
        "+f"(d[59]),
        "+f"(d[60]),
        "+f"(d[61]),
        "+f"(d[62]),
        "+f"(d[63])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(group_operand(slab, step))
  );
}

// Before the first product after registers were written.
__device__ __forceinline__ void open_group() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void close_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most kNumOpen of the latest groups are under way.
template <int kNumOpen>
__device__ __forceinline__ void await_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(kNumOpen) : "memory");
}
// The value is what a finished product has left there.
__device__ __forceinline__ void settle(float& value) { asm volatile("" : "+f"(value)::"memory"); }

// A barrier in shared memory that copies of whole runs of bytes ring: one thread announces how many
// bytes come and starts their copies; whoever waits names the parity of the barrier's turns so far.
using ByteBarrier = unsigned long long;

__device__ __forceinline__ unsigned int shared_address(const void* pointer) {
  return static_cast<unsigned int>(__cvta_generic_to_shared(pointer));
}
// One thread, before a block barrier that all others pass.
__device__ __forceinline__ void make_barrier(ByteBarrier* barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;"
               :
               : "r"(shared_address(barrier))
               : "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void announce_bytes(ByteBarrier* barrier, int num_bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               :
               : "r"(shared_address(barrier)), "r"(num_bytes)
               : "memory");
}
__device__ __forceinline__ void start_bytes(
    void* shared, const void* global, int num_bytes, ByteBarrier* barrier
) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
      :
      : "r"(shared_address(shared)), "l"(global), "r"(num_bytes), "r"(shared_address(barrier))
      : "memory"
  );
}
__device__ __forceinline__ void await_bytes(ByteBarrier* barrier, int parity) {
  asm volatile(
      "{.reg .pred p; again%=: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;"
      "@!p bra again%=;}"
      :
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory"
  );
}

#endif

}  // namespace mlxs::cuda
