// Hopper's own instructions (sm_90a), each as a function: mbarriers, the tensor
// memory accelerator (TMA), wgmma, and the moves between registers and shared
// memory around them. LLVM 19 has no intrinsics for most of these, so they are
// inline assembly; ptxas checks what LLVM does not.
//
// Addresses of shared memory are 32-bit offsets into the block's window.
#pragma once
#include "dev.h"

// barrier waits for `threads` threads that name the same id.
DEVICE void barrier(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }
DEVICE void warpBarrier() { __nvvm_bar_warp_sync(~0u); }

// Registers move from the producer's warpgroup to the consumers'.
template <int N> DEVICE void registersUp() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> DEVICE void registersDown() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }

// An mbarrier: a phase ends when `count` arrivals and all announced bytes are in.
DEVICE void barrierInit(u32 bar, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory"); }
DEVICE void barrierInitDone() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void arrive(u32 bar) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory"); }
DEVICE void arriveExpecting(u32 bar, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
DEVICE bool arrived(u32 bar, u32 parity) {
  u32 ok;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
    : "=r"(ok) : "r"(bar), "r"(parity) : "memory");
  return ok;
}
DEVICE void await(u32 bar, u32 parity) {
  while (!arrived(bar, parity)) {
  }
}

// Cursor walks a ring of N slots; parity is that of the slot's current phase.
template <int N> struct Cursor {
  u32 slot = 0, parity = 0;
  DEVICE void next() {
    if (++slot == N) slot = 0, parity ^= 1;
  }
};

// TMA: boxes of a tensor to and from shared memory. A box may reach over the
// tensor's borders: loads fill with zeros there, stores leave that part out.
DEVICE void prefetchMap(const void *map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
DEVICE void loadBox2(u32 dst, const void *map, u32 bar, int c0, int c1) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
    ::"r"(dst), "l"(map), "r"(bar), "r"(c0), "r"(c1) : "memory");
}
DEVICE void loadBox(u32 dst, const void *map, u32 bar, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
    ::"r"(dst), "l"(map), "r"(bar), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}
DEVICE void storeBox(const void *map, u32 src, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];"
    ::"l"(map), "r"(src), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}
DEVICE void commitStores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// waitStoresRead waits until of at most N of the committed groups the source is still read.
template <int N = 0> DEVICE void waitStoresRead() { asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory"); }
DEVICE void waitStores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
// Makes ordinary writes to shared memory visible to TMA and wgmma.
DEVICE void fenceAsync() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Where the kernel before and the kernel after may overlap with this one.
DEVICE void waitForPrevious() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
DEVICE void launchNext() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

// meet waits for `blocks` blocks of a grid, of which one is the first; all must be
// resident at once. The counter is in global memory and 0 before its first use:
// each meeting adds 2^31 to it, so that its upper bit tells of the end.
DEVICE void meet(u32 *counter, u32 blocks, bool first) {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
  barrier();
  if (thread() == 0) {
    u32 before, now;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(before) : "l"(counter), "r"(first ? 0x80000001u - blocks : 1) : "memory");
    do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(counter) : "memory");
    while (!((before ^ now) >> 31));
  }
  barrier();
}
// loadFresh reads what another block has written: past the first cache.
DEVICE float4 loadFresh(const float *p) {
  float4 v;
  asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p) : "memory");
  return v;
}

// Stores four 8x8 matrices of 16-bit elements, each transposed: the element that
// mma's accumulators hold at (row, column) goes to the address of row `column`.
DEVICE void storeMatricesTransposed(u32 a, const u32 (&m)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
    ::"r"(a), "r"(m[0]), "r"(m[1]), "r"(m[2]), "r"(m[3]) : "memory");
}

// The way back: what storeMatricesTransposed stored.
DEVICE void loadMatricesTransposed(u32 (&m)[4], u32 a) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
    : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(a) : "memory");
}

// A wgmma operand in shared memory, in rows of 128 bytes with the 128-byte
// swizzle (16-byte chunk c of the row at address a lies at chunk c ^ (a/128)%8).
//   K-major: a row is one M or N index and 64 K; group = bytes from 8 rows to the next 8.
//   MN-major: a row is one K index and 64 M or N; group as above, along K;
//   block = bytes from one 64 of M or N to the next.
// A step of 16 along K is 32 bytes in a K-major operand, two groups in an MN-major one.
DEVICE u64 operand(u32 address, u32 group, u32 block = 16) {
  return (u64)((address & 0x3ffff) >> 4) | (u64)(block >> 4) << 16 | (u64)(group >> 4) << 32 | (u64)1 << 62;
}

DEVICE void wgmmaBegin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmmaCommit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> DEVICE void wgmmaWait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }

#define ACC4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define ACC16(d, i) ACC4(d, i), ACC4(d, i + 4), ACC4(d, i + 8), ACC4(d, i + 12)
#define OPS32 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define OPS64 OPS32 ", " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define OPS96 OPS64 ", " \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define OPS128 OPS96 ", " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define WGMMA(n, ops, ...) \
  asm volatile("{ .reg .pred p; setp.ne.u32 p, %[add], 0;\n\t" \
    "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" ops "}, %[a], %[b], p, 1, 1, %[ta], %[tb]; }" \
    : __VA_ARGS__ : [a] "l"(a), [b] "l"(b), [add] "r"(add), [ta] "n"(TA), [tb] "n"(TB) : "memory")

// wgmma issues d = a b (+ d where add is not 0) for a tile of 64 x N and 16 along
// K. TA and TB are 1 for an MN-major operand. d[4 j + i] is row 16 warp +
// lane/4 + 8 (i/2), column 8 j + 2 (lane%4) + i%2.
template <int N, int TA, int TB> DEVICE void wgmma(float (&d)[N / 2], u64 a, u64 b, u32 add) {
  if constexpr (N == 8) WGMMA(8, "%0, %1, %2, %3", ACC4(d, 0));
  if constexpr (N == 64) WGMMA(64, OPS32, ACC16(d, 0), ACC16(d, 16));
  if constexpr (N == 128) WGMMA(128, OPS64, ACC16(d, 0), ACC16(d, 16), ACC16(d, 32), ACC16(d, 48));
  if constexpr (N == 192) WGMMA(192, OPS96, ACC16(d, 0), ACC16(d, 16), ACC16(d, 32), ACC16(d, 48), ACC16(d, 64), ACC16(d, 80));
  if constexpr (N == 256)
    WGMMA(256, OPS128, ACC16(d, 0), ACC16(d, 16), ACC16(d, 32), ACC16(d, 48), ACC16(d, 64), ACC16(d, 80), ACC16(d, 96), ACC16(d, 112));
}
