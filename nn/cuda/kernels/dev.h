// What the kernels need of CUDA C++, in place of the toolkit's headers: the
// names of the language, and the instructions that have no name in C.
//
// Instructions are reached through LLVM's intrinsics rather than inline
// assembly, which clang passes through unread: so the compiler checks their
// types and knows what they read and write.
#pragma once

#define GLOBAL extern "C" __attribute__((global))
#define DEVICE __attribute__((device)) __attribute__((always_inline)) inline
#define SHARED __attribute__((shared))
#define BLOCK(threads, perSM) __attribute__((launch_bounds(threads, perSM)))
#define UNROLL _Pragma("unroll")

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i32 = int;
using bf16 = u16; // the upper half of a float's bits

typedef u32 uint2 __attribute__((ext_vector_type(2)));
typedef u32 uint4 __attribute__((ext_vector_type(4)));
typedef float float2 __attribute__((ext_vector_type(2)));
typedef float float4 __attribute__((ext_vector_type(4)));

DEVICE u32 thread() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 blockX() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 blockY() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 blocksX() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE void barrier() { __nvvm_bar_sync(0); }

// Shared memory is addressed by 32-bit numbers, as ldmatrix and cp.async want.
using SharedByte = __attribute__((address_space(3))) char;
using GlobalByte = const __attribute__((address_space(1))) char;
DEVICE u32 sharedAddress(const void *p) { return (u32)(u64)(const SharedByte *)p; }
DEVICE SharedByte *sharedAt(u32 a) { return (SharedByte *)(u64)a; }
template <typename T> DEVICE T loadShared(u32 a) { return *(__attribute__((address_space(3))) T *)(u64)a; }
template <typename T> DEVICE void storeShared(u32 a, T v) { *(__attribute__((address_space(3))) T *)(u64)a = v; }

// copyAsync copies 16 bytes to shared memory behind the program's back; with
// keep false it writes zeros and does not read from.
DEVICE void copyAsync(u32 to, const void *from, bool keep) {
  __nvvm_cp_async_cg_shared_global_16(sharedAt(to), (GlobalByte *)from, keep ? 16 : 0);
}
DEVICE void copyAsync(u32 to, const void *from) {
  __nvvm_cp_async_cg_shared_global_16(sharedAt(to), (GlobalByte *)from);
}
DEVICE void commitCopies() { __nvvm_cp_async_commit_group(); }
// waitCopies waits until at most N of the committed groups are under way.
template <int N> DEVICE void waitCopies() { __nvvm_cp_async_wait_group(N); }

// Four 8x8 matrices of bf16, each row of 16 bytes at the address that one lane
// gives: lanes 0 to 7 for the first matrix and so on. Thread l gets the pair of
// columns 2(l%4) of row l/4 of each; transposed, of column l/4 the rows 2(l%4).
struct Matrices {
  u32 r[4];
};
extern "C" __attribute__((device)) Matrices ldmatrix(const SharedByte *) asm("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3");
extern "C" __attribute__((device)) Matrices ldmatrixTrans(const SharedByte *) asm("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3");

// multiply adds the product of a, 16x16, and b, 16x8, to c, 16x8. Thread l holds
// of a the rows l/4 and l/4+8 at columns 2(l%4) and then 8 further (in that
// order, rows first), of b the same as columns l/4, of c the columns 2(l%4) of
// rows l/4 and l/4+8.
struct Sum {
  float x, y, z, w;
};
extern "C" __attribute__((device)) Sum mma(u32, u32, u32, u32, u32, u32, float, float, float, float) asm("llvm.nvvm.mma.m16n8k16.row.col.bf16");
DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  Sum s = mma(a[0], a[1], a[2], a[3], b0, b1, c[0], c[1], c[2], c[3]);
  c[0] = s.x, c[1] = s.y, c[2] = s.z, c[3] = s.w;
}

// Rounding to bf16 is to nearest, ties to even, of two at once: low goes to the
// lower half.
typedef __bf16 bf16x2 __attribute__((ext_vector_type(2)));
DEVICE u32 pack(float low, float high) { return __builtin_bit_cast(u32, __nvvm_ff2bf16x2_rn(high, low)); }
DEVICE bf16 round(float v) { return (bf16)pack(v, 0); }
DEVICE float widen(bf16 v) { return __builtin_bit_cast(float, (u32)v << 16); }
DEVICE float lower(u32 v) { return __builtin_bit_cast(float, v << 16); }
DEVICE float upper(u32 v) { return __builtin_bit_cast(float, v & 0xffff0000u); }

// relu is pack of what is above zero; a NaN stays one.
DEVICE u32 relu(float low, float high) { return __builtin_bit_cast(u32, __nvvm_ff2bf16x2_rn_relu(high, low)); }
// nonzero is a mask of the halves that are neither zero.
DEVICE u32 nonzero(u32 v) { return (v & 0x7fffu ? 0xffffu : 0) | (v & 0x7fff0000u ? 0xffff0000u : 0); }

// Side is the height or width of images, ODD << log: 1 << log or, of images of 24
// pixels and of what pools make of them, 3 << log.
template <u32 ODD> struct Side {
  u32 log;
  DEVICE u32 size() const { return ODD << log; }
  DEVICE u32 divide(u32 v) const { return (v >> log) / ODD; }
  DEVICE u32 rest(u32 v) const { return ODD == 1 ? v & (size() - 1) : v - divide(v) * size(); }
  DEVICE bool contains(u32 v) const { return divide(v) == 0; }
  DEVICE Side half() const { return {log - 1}; }
};
// pixelsOf is how many images of a height and width have, imageOf the image of one.
template <u32 ODD> DEVICE u32 pixelsOf(u32 images, Side<ODD> h, Side<ODD> w) { return ODD * ODD * images << (h.log + w.log); }
template <u32 ODD> DEVICE u32 imageOf(u32 pixel, Side<ODD> h, Side<ODD> w) { return (pixel >> (h.log + w.log)) / (ODD * ODD); }

// Correctly rounded, as on the processor.
DEVICE float divide(float a, float b) { return __nvvm_div_rn_f(a, b); }
DEVICE float root(float v) { return __nvvm_sqrt_rn_f(v); }

// shuffle gives the value of the lane whose number differs by the bits of mask.
DEVICE float shuffle(float v, u32 mask) { return __nvvm_shfl_sync_bfly_f32(~0u, v, mask, 31); }
DEVICE i32 shuffle(i32 v, u32 mask) { return __nvvm_shfl_sync_bfly_i32(~0u, v, mask, 31); }
DEVICE double shuffle(double v, u32 mask) {
  u64 bits = __builtin_bit_cast(u64, v);
  u32 low = shuffle((i32)bits, mask), high = shuffle((i32)(bits >> 32), mask);
  return __builtin_bit_cast(double, (u64)high << 32 | low);
}
// broadcast gives the value of one lane.
DEVICE float broadcast(float v, u32 lane) { return __nvvm_shfl_sync_idx_f32(~0u, v, lane, 31); }
DEVICE u32 ballot(bool v) { return __nvvm_vote_ballot_sync(~0u, v); }

// Step is what changes from step to step. The host writes it ahead; kernels of
// one captured graph read it anew each time.
struct Step {
  u32 rows;       // valid images of the batch: kernels read and write no others
  u32 first;      // place in order of the batch's first image
  const u32 *order; // images of the epoch, by their numbers in the data set
  u64 seed;       // of the augmentation
  u64 epoch;
  u64 dropout;    // key of the mask
  float lr;
  float bias1;    // Adam: 1 - beta1^t
  float bias2;
  u32 augment;    // bits, see below; 0: the images as they are
  u32 slot;       // place in the ring of results
  u32 zero;
  u64 sequence;   // number of the step, written to the result last
  u64 zero2;
};
static_assert(sizeof(Step) == 80, "the host writes 80 bytes");

// Bits of Step.augment.
constexpr u32 AUGMENT = 1;   // shift and flip
constexpr u32 REFLECT = 2;   // fill what a shift leaves empty by reflection
constexpr u32 ALTERNATE = 4; // flip in every other epoch

// Result is what the host reads of a step.
struct Result {
  double loss; // summed over the rows
  u32 correct;
  u32 rows;
  u32 finite;
  u32 zero;
  u64 sequence; // written last
};
static_assert(sizeof(Result) == 32, "the host reads 32 bytes");
