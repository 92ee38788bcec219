// What lies between the convolutions' gradients: the gradient of the max pool,
// the bias's gradients, and the sums of parts in a fixed order.
#include "dev.h"

constexpr u32 THREADS = 256;

// channelSums adds what the block's threads hold, eight channels each, thread
// t those of group t % groups, and writes the sums of all channels to part.
DEVICE void channelSums(float *part, float (&sum)[8], u32 groups, u32 lanes) {
  SHARED __attribute__((aligned(16))) static float memory[THREADS * 8];
  const u32 t = thread();
  UNROLL for (int i = 0; i < 8; i++) memory[i * THREADS + t] = sum[i];
  barrier();
  for (u32 c = t; c < groups * 8; c += THREADS) {
    float s = 0;
    for (u32 l = 0; l < lanes; l++) s += memory[(c & 7) * THREADS + l * groups + (c >> 3)];
    part[c] = s;
  }
}

// spread writes dy, the gradient at the pool's full-resolution input, from dp,
// that at its output: at the place arg of each window, 0 elsewhere. Each block
// also sums dp over its share of the pixels, which is the bias's gradient:
// part [blocks][channels], if not null. height and width are of dy.
template <u32 ODD>
DEVICE void spreadOver(bf16 *dy, float *part, const bf16 *dp, const u8 *arg, const Step *step, Side<ODD> height, Side<ODD> width, u32 channels) {
  const u32 groups = channels / 8, lanes = THREADS / groups, t = thread(), group = t % groups, lane = t / groups;
  const u32 pixels = pixelsOf(step->rows, height.half(), width.half());
  const u32 begin = (u64)pixels * blockX() / blocksX(), end = (u64)pixels * (blockX() + 1) / blocksX();
  const u32 w = width.size();
  float sum[8] = {};
  _Pragma("unroll 2") for (u32 p = begin + lane; p < (lane < lanes ? end : 0); p += lanes) {
    u64 from = (u64)p * channels + group * 8;
    uint4 v = *(const uint4 *)(dp + from);
    uint2 a = *(const uint2 *)(arg + from);
    UNROLL for (int i = 0; i < 4; i++) {
      sum[2 * i] += lower(v[i]);
      sum[2 * i + 1] += upper(v[i]);
    }
    u32 row = width.half().divide(p), column = width.half().rest(p);
    bf16 *to = dy + ((u64)(2 * row) * w + 2 * column) * channels + group * 8;
    UNROLL for (u32 k = 0; k < 4; k++) {
      uint4 s;
      UNROLL for (int i = 0; i < 4; i++) {
        u32 places = a[i / 2] >> (i % 2 * 16);
        s[i] = v[i] & (((places & 255) == k ? 0xffffu : 0) | ((places >> 8 & 255) == k ? 0xffff0000u : 0));
      }
      *(uint4 *)(to + ((k >> 1) * w + (k & 1)) * channels) = s;
    }
  }
  if (part) channelSums(part + (u64)blockX() * channels, sum, groups, lanes);
}
#define SPREAD(name, ODD)                                                                                                  \
  GLOBAL BLOCK(THREADS, 4) void name(bf16 *dy, float *part, const bf16 *dp, const u8 *arg, const Step *step, u32 lh,       \
      u32 lw, u32 channels) {                                                                                              \
    spreadOver<ODD>(dy, part, dp, arg, step, {lh}, {lw}, channels);                                                        \
  }
SPREAD(spread, 1)
SPREAD(spread_by3, 3)

// colsum sums src [pixels][channels] over the block's share of the pixels: the
// bias's gradient where no pool follows. area is the pixels of an image.
GLOBAL BLOCK(THREADS, 4) void colsum(float *part, const bf16 *src, const Step *step, u32 channels, u32 area) {
  const u32 groups = channels / 8, lanes = THREADS / groups, t = thread(), group = t % groups, lane = t / groups;
  const u32 pixels = step->rows * area;
  const u32 begin = (u64)pixels * blockX() / blocksX(), end = (u64)pixels * (blockX() + 1) / blocksX();
  float sum[8] = {};
  _Pragma("unroll 4") for (u32 p = begin + lane; p < (lane < lanes ? end : 0); p += lanes) {
    uint4 v = *(const uint4 *)(src + (u64)p * channels + group * 8);
    UNROLL for (int i = 0; i < 4; i++) {
      sum[2 * i] += lower(v[i]);
      sum[2 * i + 1] += upper(v[i]);
    }
  }
  channelSums(part + (u64)blockX() * channels, sum, groups, lanes);
}

// reduce adds parts: the sum over k of part[k * stride + i], i below n, goes to
// dst[i], from i = first on to rest[i - first].
// Eight threads share a sum of up to four columns, each with every eighth part,
// and their sums are added in their order.
GLOBAL BLOCK(THREADS, 4) void reduce(float *dst, float *rest, const float *part, u32 n, u32 first, u32 stride, u32 parts) {
  SHARED __attribute__((aligned(16))) static float4 memory[THREADS];
  const u32 t = thread(), i = (blockX() * 32 + (t & 31)) * 4;
  float4 sum = 0;
  if (i + 3 < n && stride % 4 == 0) {
    _Pragma("unroll 8") for (u32 k = t >> 5; k < parts; k += 8) sum += *(const float4 *)(part + (u64)k * stride + i);
  } else {
    for (u32 k = t >> 5; k < parts; k += 8) UNROLL for (int c = 0; c < 4; c++)
        if (i + c < n) sum[c] += part[(u64)k * stride + i + c];
  }
  memory[t] = sum;
  barrier();
  if (t >= 32) return;
  UNROLL for (int k = 1; k < 8; k++) sum += memory[t + k * 32];
  UNROLL for (int c = 0; c < 4; c++)
    if (i + c < n) *(i + c < first ? dst + i + c : rest + (i + c - first)) = sum[c];
}
