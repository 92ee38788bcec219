// What goes in: the step's numbers, and a batch drawn from the data set that
// lies in device memory.
#include "dev.h"

constexpr u32 THREADS = 256;

// step_begin takes the next step of the ring: the host has written it ahead.
GLOBAL BLOCK(32, 1) void step_begin(Step *current, const Step *ring, u32 *counter, u32 slots) {
  constexpr u32 WORDS = sizeof(Step) / 4;
  u32 count = *counter, t = thread();
  __nvvm_bar_warp_sync(~0u);
  if (t < WORDS) ((u32 *)current)[t] = ((const volatile u32 *)(ring + count % slots))[t];
  if (t == 0) *counter = count + 1;
}

// mix is the finaliser of SplitMix64, with its increment: package cifar's rng.
DEVICE u64 mix(u64 z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

constexpr i32 SIZE = 32, MAX_SHIFT = 4;
constexpr u64 FOR_AUGMENT = 2, FOR_FLIPS = 5; // purposes of random numbers, as in package cifar

// inside is the row or column that stands for one outside of the image: the
// nearest, or the one mirrored at the edge.
DEVICE i32 inside(i32 v, bool reflect) {
  if (reflect) return v < 0 ? -v : v >= SIZE ? 2 * (SIZE - 1) - v : v;
  return v < 0 ? 0 : v >= SIZE ? SIZE - 1 : v;
}

// Mix is what a row or column of the step's images is made of: those of the data
// set's from first to end, by their weights.
struct Mix {
  i32 first, end;
  float weight[8]; // enough for images of a fourth of the size
};

// mixOf finds that of row or column i of size: bilinear, with a filter as wide as
// the pixels of the smaller image, to the bits of package cifar's shrink. In images
// of the data set's own size it is the pixel itself. Distances are whole numbers,
// in units of 1 / (2 size) pixels.
DEVICE void mixOf(Mix &m, i32 i, i32 size) {
  const i32 centre = SIZE * (2 * i + 1), reach = 2 * SIZE, low = centre - reach - size, high = centre + reach + size - 1;
  const i32 first = low < 0 ? 0 : low / (2 * size) + 1, end = high / (2 * size) < SIZE ? high / (2 * size) : SIZE;
  auto part = [&](i32 k) {
    i32 far = size * (2 * k + 1) - centre;
    return reach - (far < 0 ? -far : far);
  };
  i32 all = 0;
  for (i32 k = first; k < end; k++) all += part(k);
  for (i32 k = first; k < end; k++) m.weight[k - first] = divide(part(k), all);
  m.first = first, m.end = end;
}

// batch writes the step's images, bf16 [rows][size][size][4], and labels, int32, a
// block an image. images is the data set, bytes [count][3][32][32], table the
// value of each byte, [3][256]. Shift and flip are those that package cifar
// draws for (seed, epoch, image), and size is at most 32, at least 8: to the same
// pixel; bits of the step's augment say whether at all, and how edges are filled
// and flips drawn.
GLOBAL BLOCK(THREADS, 4) void batch(bf16 *x, i32 *labels, const u8 *images, const u8 *classes, const float *table, const Step *step, u32 size) {
  SHARED __attribute__((aligned(16))) static u32 bytes[3 * SIZE * SIZE / 4];
  SHARED static Mix mixes[SIZE];
  const u32 row = blockX(), t = thread();
  if (row >= step->rows) return;
  const u32 image = step->order[step->first + row];
  const u32 *from = (const u32 *)(images + (u64)image * 3 * SIZE * SIZE);
  UNROLL for (u32 i = 0; i < 3; i++) bytes[i * THREADS + t] = from[i * THREADS + t];
  if (t < size) mixOf(mixes[t], t, size);
  if (t == 0) labels[row] = classes[image];

  i32 dx = 0, dy = 0;
  bool flip = false;
  const bool reflect = step->augment & REFLECT;
  if (step->augment & AUGMENT) {
    u64 v = mix(mix(mix(mix(step->seed) ^ FOR_AUGMENT) ^ step->epoch) ^ image);
    v = mix(v);
    dx = (i32)((v & 15) + 1) / 2 - MAX_SHIFT;
    dy = (i32)((v >> 4 & 15) + 1) / 2 - MAX_SHIFT;
    flip = v >> 8 & 1;
    if (step->augment & ALTERNATE) flip = (mix(mix(mix(mix(step->seed) ^ FOR_FLIPS) ^ image)) + step->epoch) & 1;
  }
  barrier();
  const u8 *plane = (const u8 *)bytes;
  for (u32 i = t; i < size * size; i += THREADS) {
    const Mix &rows = mixes[i / size], &columns = mixes[i % size];
    float sum[3] = {}; // a row of the filter after the other, as on the processor
    for (i32 y = rows.first; y < rows.end; y++) {
      const i32 line = inside(y - dy, reflect) * SIZE;
      float part[3] = {};
      for (i32 x = columns.first; x < columns.end; x++) {
        const i32 at = line + inside((flip ? SIZE - 1 - x : x) - dx, reflect);
        const float w = columns.weight[x - columns.first];
        UNROLL for (u32 c = 0; c < 3; c++) part[c] += w * table[c * 256 + plane[c * SIZE * SIZE + at]];
      }
      UNROLL for (u32 c = 0; c < 3; c++) sum[c] += rows.weight[y - rows.first] * part[c];
    }
    *(uint2 *)(x + ((u64)row * size * size + i) * 4) = {pack(sum[0], sum[1]), pack(sum[2], 1)};
  }
}

// pack_images writes images of four channels, the fourth 1, from floats
// [rows][pixels][3].
GLOBAL BLOCK(THREADS, 4) void pack_images(bf16 *dst, const float *src, const Step *step, u32 pixels) {
  const u32 i = blockX() * THREADS + thread(), row = blockY();
  if (row >= step->rows || i >= pixels) return;
  const u64 at = (u64)row * pixels + i;
  const float *p = src + at * 3;
  *(uint2 *)(dst + at * 4) = {pack(p[0], p[1]), pack(p[2], 1)};
}

// Conversions, four elements a thread.
GLOBAL BLOCK(THREADS, 4) void to_bf16(bf16 *dst, const float *src, u32 n) {
  u32 i = (blockX() * THREADS + thread()) * 4;
  if (i + 3 < n) {
    float4 v = *(const float4 *)(src + i);
    *(uint2 *)(dst + i) = {pack(v.x, v.y), pack(v.z, v.w)};
  } else {
    for (; i < n; i++) dst[i] = round(src[i]);
  }
}

GLOBAL BLOCK(THREADS, 4) void to_f32(float *dst, const bf16 *src, u32 n) {
  u32 i = (blockX() * THREADS + thread()) * 4;
  if (i + 3 < n) {
    uint2 v = *(const uint2 *)(src + i);
    *(float4 *)(dst + i) = {lower(v.x), upper(v.x), lower(v.y), upper(v.y)};
  } else {
    for (; i < n; i++) dst[i] = widen(src[i]);
  }
}
