// The gradient of 3x3 filters and of the biases, on Hopper's wgmma.
//
//   dw[r, s][i, o] = sum over pixels of x[pixel + (r, s) - 1][i] dy[pixel][o]
//   db[o]          = sum over pixels of dy[pixel][o]
//
// A product summed over pixels, with both operands as they lie in memory, bf16
// NHWC: a row of 128 bytes is one pixel's 64 channels. A block computes all nine
// taps of 64 inputs x 64 outputs: warpgroup s the taps (0 to 2, s), as a tile of 64
// outputs x 192 whose three 64s are one box of x at three vertical shifts. The box
// has a border of a pixel, zeros outside of the image, so that the sideways shifts
// lie in it too: x and dy are fetched once for nine taps. The biases are one more,
// narrow product, with ones, of warpgroup 1.
//
// The pixels are split between blocks, in chunks of R rows of one image. The
// blocks of a tile write their sums side by side to parts, as the threads hold
// them: [tiles][splits][TILE4] fours, and behind that the biases' [splits][out].
// They meet, and each adds up a share of the tile, in the order of the blocks.
//
// grid: in/64 * out/64 tiles * splits, at most the multiprocessors.
// Tensor maps, innermost dimension first, 128-byte swizzle:
//   x  (in, W, N, H)   box 64, W + 2, 1, R + 2
//   dy (out, W, N, H)  box 64, W, 1, R
#include "hopper.h"

// Stage is a chunk in shared memory.
template <int W, int R> struct Stage {
  static constexpr int ROW = (W + 2) * 128;              // bytes from a row of x to the next
  static constexpr int XBOX = (R + 2) * ROW;             // bytes of a box of x
  static constexpr int X = (XBOX + 1023) & ~1023;        // and of its place
  static constexpr int Y = R * W * 128;
  static constexpr int SIZE = X + Y;
};

// Chunks are the pixels of a block.
struct Chunks {
  u32 begin, end;
};

template <int W, int R, int STAGES>
DEVICE void fetchChunks(const void *xMap, const void *dyMap, u32 base, u32 full, u32 free, Chunks chunks, int ci, int co) {
  using S = Stage<W, R>;
  Cursor<STAGES> at;
  for (u32 c = chunks.begin; c < chunks.end; c++) {
    int image = c / (W / R), y = c % (W / R) * R;
    u32 bar = full + at.slot * 8, x = base + at.slot * S::SIZE;
    await(free + at.slot * 8, at.parity ^ 1);
    arriveExpecting(bar, S::XBOX + S::Y);
    loadBox(x, xMap, bar, ci, -1, image, y - 1);
    loadBox(x + S::X, dyMap, bar, co, 0, image, y);
    at.next();
  }
}

// accumulate adds a block's chunks to d, the 64 x 192 of a warpgroup's three taps,
// and with BIAS to b, 64 x 8 times the biases.
template <int W, int R, int STAGES, bool BIAS>
DEVICE void accumulate(float (&d)[96], float (&b)[4], u32 base, u32 ones, u32 full, u32 free, u32 chunks, u32 s) {
  using S = Stage<W, R>;
  constexpr u32 GROUP = W == 8 ? S::ROW : 1024; // from 8 pixels of x to the next 8
  u32 before = 0;
  Cursor<STAGES> at;
  for (u32 c = 0; c < chunks; c++) {
    await(full + at.slot * 8, at.parity);
    u32 x = base + at.slot * S::SIZE + s * 128, y = base + at.slot * S::SIZE + S::X;
    wgmmaBegin();
    UNROLL for (int k = 0; k < R * W; k += 16) {
      u64 a = operand(y + k * 128, 1024);
      wgmma<192, 1, 1>(d, a, operand(x + k / W * S::ROW + k % W * 128, GROUP, S::ROW), 1);
      if constexpr (BIAS) wgmma<8, 1, 0>(b, a, operand(ones, 1024), 1);
    }
    wgmmaCommit();
    if (c > 0) {
      wgmmaWait<1>();
      if ((thread() & 31) == 0) arrive(free + before * 8);
    }
    before = at.slot;
    at.next();
  }
  wgmmaWait<0>();
}

constexpr u32 TILE4 = 9 * 64 * 64 / 4; // fours of a tile's sums
constexpr u32 SUMMERS = 384;           // threads that hold them

// Gradient is the result and its parts.
struct Gradient {
  float *dw, *db, *parts;
  u32 in, out, splits, tile;
  int ci, co; // the tile's first channels
  // The parts of a block: the four sums e of the tile are the (e / SUMMERS)th that
  // thread e % SUMMERS holds. The biases' lie behind all of the filter's.
  DEVICE float4 *sums(u32 split) const { return (float4 *)parts + (u64)(tile * splits + split) * TILE4; }
  DEVICE float *biases(u32 split) const { return parts + (u64)splits * 9 * in * out + split * out + co; }
  DEVICE const float *part(u32 e, u32 split) const { return e < TILE4 ? (const float *)(sums(split) + e) : biases(split) + (e - TILE4) * 4; }
  // place writes the kth four sums that thread t holds: of two inputs, two outputs
  // that are 8 apart.
  DEVICE void place(u32 k, u32 t, float4 v) const {
    u32 n = 8 * k + 2 * (t & 3), s = t / 128;
    float *p = dw + (u64)((n / 64 * 3 + s) * in + ci + n % 64) * out + co + (t / 32 & 3) * 16 + (t >> 2 & 7);
    p[0] = v.x, p[out] = v.y, p[8] = v.z, p[out + 8] = v.w;
  }
  DEVICE void put(u32 e, float4 v) const {
    if (e < TILE4) place(e / SUMMERS, e % SUMMERS, v);
    else *(float4 *)(db + co + (e - TILE4) * 4) = v;
  }
  DEVICE float4 sum(u32 e, u32 first, u32 last) const {
    float4 sum = 0;
    for (; first + 8 <= last; first += 8) {
      float4 v[8];
      UNROLL for (int k = 0; k < 8; k++) v[k] = loadFresh(part(e, first + k));
      UNROLL for (int k = 0; k < 8; k++) sum += v[k];
    }
    for (; first < last; first++) sum += loadFresh(part(e, first));
    return sum;
  }
};

// addParts adds up a block's share of its tile. Where that is small, groups of
// threads add a range of the parts each.
DEVICE void addParts(const Gradient &g, u32 shared, u32 split) {
  constexpr u32 THREADS = SUMMERS;
  const u32 fours = TILE4 + (g.ci == 0 ? 16 : 0), begin = fours * split / g.splits, count = fours * (split + 1) / g.splits - begin;
  const u32 groups = count < THREADS ? THREADS / count : 1, group = thread() / count, i = thread() % count;
  if (groups == 1) {
    for (u32 e = begin + thread(); thread() < THREADS && e < begin + count; e += THREADS) g.put(e, g.sum(e, 0, g.splits));
    return;
  }
  if (group < groups) storeShared(shared + thread() * 16, g.sum(begin + i, g.splits * group / groups, g.splits * (group + 1) / groups));
  barrier();
  if (group > 0) return;
  float4 sum = loadShared<float4>(shared + i * 16);
  for (u32 k = 1; k < groups; k++) sum += loadShared<float4>(shared + (i + k * count) * 16);
  g.put(begin + i, sum);
}

// filter is the kernel; counters has one for each tile, see meet.
template <int W, int R, int STAGES>
DEVICE void filter(const void *xMap, const void *dyMap, float *dw, float *db, float *parts, u32 *counters, const Step *step, u32 in, u32 out) {
  using S = Stage<W, R>;
  extern SHARED char memory[];
  u32 base = (sharedAddress(memory) + 1023) & ~1023u, ones = base + STAGES * S::SIZE, full = ones + 1024, free = full + 8 * STAGES;
  u32 warp = thread() >> 5, lane = thread() & 31, splits = blocksX() / (in / 64 * (out / 64)), split = blockX() % splits, tile = blockX() / splits;
  int ci = tile % (in / 64) * 64, co = tile / (in / 64) * 64;
  if (thread() == 0) {
    for (int i = 0; i < STAGES; i++) barrierInit(full + i * 8, 1), barrierInit(free + i * 8, 12);
    barrierInitDone();
    prefetchMap(xMap), prefetchMap(dyMap);
  }
  if (thread() < 256) storeShared(ones + thread() * 4, 0x3f803f80u);
  fenceAsync();
  barrier();
  launchNext();
  waitForPrevious();
  Gradient g = {dw, db, parts, in, out, splits, tile, ci, co};
  u32 chunks = step->rows * (W / R);
  Chunks mine = {(u32)((u64)chunks * split / splits), (u32)((u64)chunks * (split + 1) / splits)};

  if (warp == 12) {
    if (lane == 0) fetchChunks<W, R, STAGES>(xMap, dyMap, base, full, free, mine, ci, co);
  } else {
    float d[96] = {}, b[4] = {};
    u32 s = warp / 4;
    bool biases = ci == 0 && s == 1;
    if (biases)
      accumulate<W, R, STAGES, true>(d, b, base, ones, full, free, mine.end - mine.begin, s);
    else
      accumulate<W, R, STAGES, false>(d, b, base, ones, full, free, mine.end - mine.begin, s);
    float4 *part = g.sums(split) + thread();
    UNROLL for (int k = 0; k < 24; k++) {
      float4 v = {d[4 * k], d[4 * k + 1], d[4 * k + 2], d[4 * k + 3]};
      if (splits == 1) g.place(k, thread(), v);
      else part[k * SUMMERS] = v;
    }
    float *bias = (splits == 1 ? db + co : g.biases(split)) + (warp & 3) * 16 + (lane >> 2);
    if (biases && (lane & 3) == 0) bias[0] = b[0], bias[8] = b[2];
  }
  if (splits == 1) return;
  warpBarrier();
  meet(counters + tile, splits, split == 0);
  addParts(g, base, split);
}

// A kernel's name says its images' width W, its chunks' rows R and its stages.
#define FILTER(W, R, STAGES) \
  GLOBAL BLOCK(416, 1) void wgmma_wgrad_w##W##_r##R##s##STAGES(const void *x, const void *dy, float *dw, float *db, float *parts, u32 *counters, const Step *step, u32 in, u32 out) { \
    filter<W, R, STAGES>(x, dy, dw, db, parts, counters, step, in, out); \
  }

FILTER(32, 2, 8)
FILTER(16, 4, 9)
FILTER(8, 8, 10)
