// The first convolution, of images of four channels: red, green, blue and a 1
// inside of the image. The 3x3 window of a pixel is 9 taps of 4 channels, 36
// values: 48 with zeros behind, three steps of mma.sync.
//
// The kernels are bound by memory (they write and read the layer's output): the
// blocks stay, each going through many strips of pixels, with the filter in
// registers and the next strip on its way. The filter is the float32 one,
// [9][3][out]; the gradient has a 28th row, the bias's, which the channel of
// ones gives: [28][out].
#include "dev.h"

constexpr int THREADS = 256;
constexpr u32 COLUMNS = 64; // output channels of a block

// taps tells which taps of pixel m lie in its image, a bit each.
template <u32 ODD> DEVICE u32 taps(u32 m, u32 pixels, Side<ODD> h, Side<ODD> w) {
  u32 x = w.rest(m), y = h.rest(w.divide(m));
  u32 columns = (x > 0 ? 1u : 0) | 2u | (x + 1 < w.size() ? 4u : 0);
  u32 bits = (y > 0 ? columns : 0) | columns << 3 | (y + 1 < h.size() ? columns << 6 : 0);
  return m < pixels ? bits : 0;
}

// shift is how far a tap's pixel lies from the window's centre.
DEVICE i32 shift(u32 tap, u32 width) { return ((i32)(tap / 3) - 1) * (i32)width + (i32)(tap % 3) - 1; }

// filterPair is the values of two rows of the filter as it is multiplied, row a
// window's value (4 tap + channel), at one output.
DEVICE u32 filterPair(const float *w, u32 row, u32 column, u32 out) {
  u32 tap = row >> 2, channel = row & 3; // 0 or 2
  if (tap > 8) return 0;
  const float *at = w + (tap * 3 + channel) * out + column;
  return pack(at[0], channel ? 0 : at[out]);
}

constexpr u32 STRIP = 256;                 // pixels that a block computes at a time
constexpr u32 HALO = 2 + 64;               // pixels before them in shared memory, and behind
constexpr u32 STAGE = (STRIP + 2 * HALO) * 8; // bytes

// y = relu(x * w + bias). Any number of blocks will do.
template <u32 ODD>
DEVICE void forward(bf16 *y, const bf16 *x, const float *w, const float *bias, const Step *step, Side<ODD> height, Side<ODD> width, u32 out) {
  SHARED __attribute__((aligned(128))) static char memory[3 * STAGE];
  const u32 smem = sharedAddress(memory);
  const u32 t = thread(), lane = t & 31, warp = t >> 5, q = lane & 3, g = lane >> 2;
  const u32 n0 = blockY() * COLUMNS + (warp >> 2) * 32; // four warps take the left half
  const u32 pixels = step->rows * height.size() * width.size(), strips = (pixels + STRIP - 1) / STRIP;
  if (blockY() * COLUMNS >= out || blockX() >= strips) return;

  // A strip and the rows round it, two pixels a copy: as they lie in memory,
  // with what is no neighbour masked where it is used.
  auto copy = [&](u32 strip, u32 stage) {
    i32 p = (i32)(strip * STRIP + t * 2) - (i32)HALO;
    if (strip < strips && t < STAGE / 16) {
      bool keep = p >= 0 && (u32)p < pixels;
      copyAsync(smem + stage * STAGE + t * 16, x + (keep ? (u64)p * 4 : 0), keep);
    }
    commitCopies();
  };
  copy(blockX(), 0);
  copy(blockX() + blocksX(), 1);

  // Columns are dealt out so that a thread's results of four pieces are eight
  // channels in a row: piece j has, at column 2q+e, channel 8q+2j+e.
  u32 b[4][3][2];
  float add[8];
  const u32 channel = n0 + q * 8;
  const bool idle = n0 >= out;
  if (!idle) {
    UNROLL for (u32 j = 0; j < 4; j++) UNROLL for (u32 k = 0; k < 3; k++) UNROLL for (u32 h = 0; h < 2; h++)
        b[j][k][h] = filterPair(w, k * 16 + h * 8 + q * 2, n0 + (g >> 1) * 8 + j * 2 + (g & 1), out);
    UNROLL for (u32 j = 0; j < 8; j++) add[j] = bias[channel + j];
  }
  // The six taps that this lane reads of a pixel, and where.
  u32 tap[6];
  i32 at[6];
  UNROLL for (u32 k = 0; k < 6; k++) {
    tap[k] = k * 2 + (q >> 1);
    at[k] = (tap[k] > 8 ? 0 : shift(tap[k], width.size())) * 8 + (i32)(q & 1) * 4;
  }

  u32 stage = 0;
  for (u32 strip = blockX(); strip < strips; strip += blocksX()) {
    waitCopies<1>();
    barrier();
    copy(strip + 2 * blocksX(), stage == 0 ? 2 : stage - 1);
    const u32 base = smem + stage * STAGE + HALO * 8;
    stage = stage == 2 ? 0 : stage + 1;
    if (idle) continue;
    UNROLL for (u32 i = 0; i < 4; i++) { // 16 pixels each
      const u32 first = (warp & 3) * 64 + i * 16 + g, m = strip * STRIP + first;
      u32 a[3][4];
      UNROLL for (u32 h = 0; h < 2; h++) {
        const u32 inside = taps(m + h * 8, pixels, height, width);
        UNROLL for (u32 k = 0; k < 6; k++) {
          u32 v = loadShared<u32>(base + (first + h * 8) * 8 + at[k]);
          a[k / 2][k % 2 * 2 + h] = inside >> tap[k] & 1 ? v : 0;
        }
      }
      float c[4][4] = {};
      UNROLL for (u32 k = 0; k < 3; k++) UNROLL for (u32 j = 0; j < 4; j++) multiply(c[j], a[k], b[j][k][0], b[j][k][1]);
      UNROLL for (u32 h = 0; h < 2; h++) {
        uint4 v;
        UNROLL for (u32 j = 0; j < 4; j++) v[j] = relu(c[j][2 * h] + add[2 * j], c[j][2 * h + 1] + add[2 * j + 1]);
        if (m + h * 8 < pixels) *(uint4 *)(y + (u64)(m + h * 8) * out + channel) = v;
      }
    }
  }
  waitCopies<0>();
}

constexpr u32 SHORT = 128;               // pixels of a strip of the gradient
constexpr u32 WINDOW = 112;              // bytes of a window: 96, and no bank conflicts
constexpr u32 GRADIENTS = SHORT * COLUMNS * 2; // bytes of a strip of dy

// part [parts][28][out]: the gradient of the filter, [9][3][out], and of the
// bias, over a part of the strips, one a block. dy is at full resolution.
template <u32 ODD>
DEVICE void gradient(float *part, const bf16 *x, const bf16 *dy, const Step *step, Side<ODD> height, Side<ODD> width, u32 out) {
  SHARED __attribute__((aligned(128))) static char memory[48 << 10];
  const u32 smem = sharedAddress(memory), windows = smem + 2 * GRADIENTS;
  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 n0 = blockY() * COLUMNS;
  if (n0 >= out) return;
  const u32 pixels = step->rows * height.size() * width.size(), strips = (pixels + SHORT - 1) / SHORT;

  // Two threads see to the window of a pixel: five taps, and four and zeros.
  const u32 p = t >> 1, half = t & 1;
  uint2 window[5];
  auto fetch = [&](u32 strip, u32 stage) {
    if (strip >= strips) {
      commitCopies();
      return;
    }
    UNROLL for (u32 i = 0; i < 4; i++) {
      u32 r = i * 32 + (t >> 3), chunk = t & 7, m = strip * SHORT + r;
      bool keep = m < pixels && n0 + chunk * 8 < out;
      copyAsync(smem + stage * GRADIENTS + r * 128 + ((chunk ^ (r & 7)) << 4), dy + (keep ? (u64)m * out + n0 + chunk * 8 : 0), keep);
    }
    commitCopies();
    const u32 m = strip * SHORT + p, inside = taps(m, pixels, height, width);
    UNROLL for (u32 k = 0; k < 5; k++) {
      u32 tap = half * 5 + k;
      window[k] = inside >> tap & 1 ? *(const uint2 *)(x + (u64)(u32)((i32)m + shift(tap, width.size())) * 4) : uint2(0);
    }
  };
  // What lies behind the ninth tap is multiplied, too.
  storeShared(windows + p * WINDOW + 80 + half * 8, uint2(0));

  float c[3][4][4] = {}; // windows 16 by outputs 8
  const u32 left = warp >> 2 & 1;
  fetch(blockX(), 0);
  u32 stage = 0;
  for (u32 strip = blockX(); strip < strips; strip += blocksX()) {
    UNROLL for (u32 k = 0; k < 5; k++) storeShared(windows + p * WINDOW + (half * 5 + k) * 8, window[k]);
    waitCopies<0>();
    barrier();
    fetch(strip + blocksX(), stage ^ 1);
    UNROLL for (u32 k = 0; k < 2; k++) { // 16 pixels of the warp's 32
      const u32 first = (warp & 3) * 32 + k * 16;
      Matrices b[2];
      UNROLL for (u32 j = 0; j < 2; j++) {
        u32 r = first + (lane & 15), chunk = left * 4 + j * 2 + (lane >> 4);
        b[j] = ldmatrixTrans(sharedAt(smem + stage * GRADIENTS + r * 128 + ((chunk ^ (r & 7)) << 4)));
      }
      UNROLL for (u32 i = 0; i < 3; i++) {
        u32 r = first + (lane >> 4) * 8 + (lane & 7), chunk = i * 2 + (lane >> 3 & 1);
        Matrices a = ldmatrixTrans(sharedAt(windows + r * WINDOW + chunk * 16));
        UNROLL for (u32 j = 0; j < 4; j++) multiply(c[i][j], a.r, b[j / 2].r[j % 2 * 2], b[j / 2].r[j % 2 * 2 + 1]);
      }
    }
    stage ^= 1;
    barrier();
  }
  waitCopies<0>();
  barrier();

  // The sums of the four warps of each half, added in their order.
  constexpr u32 SUMS = 48 * COLUMNS * 4;
  UNROLL for (u32 i = 0; i < 3; i++) UNROLL for (u32 j = 0; j < 4; j++) {
    u32 row = i * 16 + (lane >> 2), to = smem + (warp & 3) * SUMS + (row * COLUMNS + left * 32 + j * 8 + (lane & 3) * 2) * 4;
    storeShared(to, float2{c[i][j][0], c[i][j][1]});
    storeShared(to + 8 * COLUMNS * 4, float2{c[i][j][2], c[i][j][3]});
  }
  barrier();
  for (u32 i = t; i < 36 * COLUMNS; i += THREADS) {
    u32 row = i / COLUMNS, column = i % COLUMNS, tap = row >> 2, channel = row & 3;
    float sum = 0;
    UNROLL for (u32 k = 0; k < 4; k++) sum += loadShared<float>(smem + k * SUMS + i * 4);
    bool bias = channel == 3;
    if (n0 + column >= out || (bias && tap != 4)) continue; // the ones at the window's centre
    part[((u64)blockX() * 28 + (bias ? 27 : tap * 3 + channel)) * out + n0 + column] = sum;
  }
}

// The kernels: heights and widths of images are ODD << lh and ODD << lw.
#define BOTH(fwd, wgrad, ODD)                                                                                              \
  GLOBAL BLOCK(THREADS, 2) void fwd(bf16 *y, const bf16 *x, const float *w, const float *bias, const Step *step, u32 lh,   \
      u32 lw, u32 out) {                                                                                                   \
    forward<ODD>(y, x, w, bias, step, {lh}, {lw}, out);                                                                    \
  }                                                                                                                        \
  GLOBAL BLOCK(THREADS, 2) void wgrad(float *part, const bf16 *x, const bf16 *dy, const Step *step, u32 lh, u32 lw,        \
      u32 out) {                                                                                                           \
    gradient<ODD>(part, x, dy, step, {lh}, {lw}, out);                                                                     \
  }

BOTH(conv1_fwd, conv1_wgrad, 1)
BOTH(conv1_fwd_by3, conv1_wgrad_by3, 3)
