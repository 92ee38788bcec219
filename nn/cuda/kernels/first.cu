// The first convolution, of images of four channels: red, green, blue and a 1
// inside of the image. The 3x3 window of a pixel is 9 taps of 4 channels, 36
// values: 48 with zeros behind, three steps of mma.sync.
//
// The kernels are bound by memory (they write and read the layer's output), so
// they keep the filter in registers and aim at few passes over it. The filter
// is the float32 one, [9][3][out]; the gradient has a 28th row, the bias's,
// which the channel of ones gives: [28][out].
#include "dev.h"

constexpr u32 STRIP = 256;  // pixels of a block
constexpr int COLUMNS = 32; // output channels of a block
constexpr int THREADS = 256;

// filterPair is the values of two rows of the filter as it is multiplied, row a
// window's value (4 tap + channel), at one output.
DEVICE u32 filterPair(const float *w, u32 row, u32 column, u32 out) {
  u32 tap = row >> 2, channel = row & 3; // 0 or 2
  if (tap > 8) return 0;
  const float *at = w + (tap * 3 + channel) * out + column;
  return pack(at[0], channel ? 0 : at[out]);
}

// window reads the four channels of a tap of pixel m, or zeros.
DEVICE uint2 window(const bf16 *x, u32 m, u32 tap, u32 pixels, u32 lh, u32 lw) {
  u32 column = (m & ((1u << lw) - 1)) + tap % 3 - 1, row = (m >> lw & ((1u << lh) - 1)) + tap / 3 - 1;
  bool keep = m < pixels && column < 1u << lw && row < 1u << lh;
  i32 at = (i32)m + ((i32)(tap / 3) - 1) * (i32)(1u << lw) + (i32)(tap % 3) - 1;
  return keep ? *(const uint2 *)(x + (u64)(u32)at * 4) : uint2(0);
}

// unfold writes the windows of the strip's pixels to shared memory, rows of 128
// bytes of which 96 are used, chunks xored as in conv.h.
DEVICE void unfold(u32 smem, const bf16 *x, u32 m0, u32 pixels, u32 lh, u32 lw) {
  u32 m = thread();
  UNROLL for (u32 c = 0; c < 6; c++) {
    uint4 v = 0;
    if (c < 5) v.xy = window(x, m0 + m, 2 * c < 9 ? 2 * c : 8, pixels, lh, lw);
    if (c < 4) v.zw = window(x, m0 + m, 2 * c + 1, pixels, lh, lw);
    storeShared<uint4>(smem + m * 128 + ((c ^ (m & 7)) << 4), v);
  }
}

// y = relu(x * w + bias).
GLOBAL BLOCK(THREADS, 2) void conv1_fwd(bf16 *y, const bf16 *x, const float *w, const float *bias, const Step *step, u32 lh, u32 lw, u32 out) {
  SHARED __attribute__((aligned(128))) static char memory[STRIP * 128];
  const u32 smem = sharedAddress(memory);
  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 m0 = blockX() * STRIP, n0 = blockY() * COLUMNS;
  const u32 pixels = step->rows << (lh + lw);
  if (m0 >= pixels) return;
  unfold(smem, x, m0, pixels, lh, lw);

  // Columns are dealt out so that a thread's results of four pieces are eight
  // channels in a row: piece j has, at column 2q+e, channel 8q+2j+e.
  u32 b[4][3][2];
  float add[8];
  UNROLL for (int j = 0; j < 4; j++) {
    u32 g = lane >> 2, column = n0 + (g >> 1) * 8 + j * 2 + (g & 1);
    UNROLL for (int k = 0; k < 3; k++) UNROLL for (int h = 0; h < 2; h++)
        b[j][k][h] = filterPair(w, k * 16 + h * 8 + (lane & 3) * 2, column, out);
  }
  const u32 channel = n0 + (lane & 3) * 8;
  UNROLL for (int j = 0; j < 8; j++) add[j] = bias[channel + j];
  barrier();

  UNROLL for (int i = 0; i < 2; i++) { // 16 pixels each
    const u32 row = warp * 32 + i * 16;
    float c[4][4] = {};
    UNROLL for (int k = 0; k < 3; k++) {
      u32 r = row + (lane & 15), chunk = k * 2 + (lane >> 4);
      Matrices a = ldmatrix(sharedAt(smem + r * 128 + ((chunk ^ (r & 7)) << 4)));
      UNROLL for (int j = 0; j < 4; j++) multiply(c[j], a.r, b[j][k][0], b[j][k][1]);
    }
    UNROLL for (int h = 0; h < 2; h++) {
      u32 m = m0 + row + h * 8 + (lane >> 2);
      uint4 v;
      UNROLL for (int j = 0; j < 4; j++) v[j] = relu(c[j][2 * h] + add[2 * j], c[j][2 * h + 1] + add[2 * j + 1]);
      if (m < pixels) *(uint4 *)(y + (u64)m * out + channel) = v;
    }
  }
}

// part [parts][28][out]: the gradient of the filter, [9][3][out], and of the
// bias, over a part of the strips. dy is at full resolution.
GLOBAL BLOCK(THREADS, 2) void conv1_wgrad(float *part, const bf16 *x, const bf16 *dy, const Step *step, u32 lh, u32 lw, u32 out) {
  constexpr u32 Y = STRIP * 128; // dy lies behind the windows, rows of 64 bytes
  SHARED __attribute__((aligned(128))) static char memory[STRIP * (128 + COLUMNS * 2)];
  const u32 smem = sharedAddress(memory);
  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 n0 = blockY() * COLUMNS;
  const u32 pixels = step->rows << (lh + lw);

  float c[3][4][4] = {}; // windows 16 by outputs 8
  for (u32 m0 = blockX() * STRIP; m0 < pixels; m0 += blocksX() * STRIP) {
    UNROLL for (int i = 0; i < 4; i++) {
      u32 p = i * 64 + (t >> 2), chunk = t & 3;
      bool keep = m0 + p < pixels;
      copyAsync(smem + Y + p * 64 + ((chunk ^ (p >> 1 & 3)) << 4), dy + (keep ? (u64)(m0 + p) * out + n0 + chunk * 8 : 0), keep);
    }
    commitCopies();
    unfold(smem, x, m0, pixels, lh, lw);
    waitCopies<0>();
    barrier();
    UNROLL for (int k = 0; k < 2; k++) { // 16 pixels of the warp's 32
      const u32 p = warp * 32 + k * 16;
      Matrices b[2];
      UNROLL for (int j = 0; j < 2; j++) {
        u32 r = p + (lane & 15), chunk = j * 2 + (lane >> 4);
        b[j] = ldmatrixTrans(sharedAt(smem + Y + r * 64 + ((chunk ^ (r >> 1 & 3)) << 4)));
      }
      UNROLL for (int i = 0; i < 3; i++) {
        u32 r = p + (lane >> 4) * 8 + (lane & 7), chunk = i * 2 + (lane >> 3 & 1);
        Matrices a = ldmatrixTrans(sharedAt(smem + r * 128 + ((chunk ^ (r & 7)) << 4)));
        UNROLL for (int j = 0; j < 4; j++) multiply(c[i][j], a.r, b[j / 2].r[j % 2 * 2], b[j / 2].r[j % 2 * 2 + 1]);
      }
    }
    barrier();
  }

  // The warps' sums, added in their order: 48 x 32 floats each.
  UNROLL for (int i = 0; i < 3; i++) UNROLL for (int j = 0; j < 4; j++) {
    u32 row = i * 16 + (lane >> 2), at = smem + ((warp * 48 + row) * COLUMNS + j * 8 + (lane & 3) * 2) * 4;
    storeShared(at, float2{c[i][j][0], c[i][j][1]});
    storeShared(at + 8 * COLUMNS * 4, float2{c[i][j][2], c[i][j][3]});
  }
  barrier();
  for (u32 i = t; i < 36 * COLUMNS; i += THREADS) {
    u32 row = i / COLUMNS, column = i % COLUMNS, tap = row >> 2, channel = row & 3;
    float sum = 0;
    UNROLL for (int k = 0; k < 8; k++) sum += loadShared<float>(smem + (k * 48 * COLUMNS + i) * 4);
    bool bias = channel == 3;
    if (bias && tap != 4) continue; // the ones at the window's centre
    part[((u64)blockX() * 28 + (bias ? 27 : tap * 3 + channel)) * out + n0 + column] = sum;
  }
}
