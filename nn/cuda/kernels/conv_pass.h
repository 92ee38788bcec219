// The passes of 3x3 convolutions, same padding, as implicit matrix products on tensor
// cores (mma.sync, from sm_80 on): forward with bias, ReLU and max pool, and the
// gradient of the data with the ReLU's mask. See conv.h for the loop.
//
// Images are bf16 [N][H][W][C]; the filter is bf16 [9][in][out]. Sums are float32.
// Every sum has one order, so the results are the same bits on every run.
#pragma once
#include "conv.h"

// y = relu(x * w + bias), and with pool its 2x2 maximum, with the place 0 to 3
// of the first maximum of each window, row by row, in arg (if not null).
template <typename T, u32 ODD>
DEVICE void forward(bf16 *y, u8 *arg, const bf16 *x, const bf16 *w, const float *bias, const Step *step, Side<ODD> height, Side<ODD> width, u32 in, u32 out, u32 pool) {
  extern SHARED __attribute__((aligned(128))) char memory[];
  const u32 smem = sharedAddress(memory);
  const u32 across = out / T::BN, m0 = blockX() / across * T::BM, n0 = blockX() % across * T::BN;
  const u32 pixels = pixelsOf(step->rows, height, width);
  if (m0 >= pixels) return;

  Product<T> p;
  gather<T, false>(p, smem, x, w, pixels, height, width, pool, in, out, m0, n0, [] {});

  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 wm = warp % T::WM * T::TM, wn = warp / T::WM * T::TN;
  UNROLL for (int j = 0; j < Product<T>::NI; j++) {
    u32 column = wn + j * 8 + (lane & 3) * 2;
    float2 b = *(const float2 *)(bias + n0 + column);
    UNROLL for (int i = 0; i < Product<T>::MI; i++) {
      u32 row = wm + i * 16 + (lane >> 2);
      float *c = p.c[i][j];
      stage<T>(smem, row, column, relu(c[0] + b.x, c[1] + b.y));
      stage<T>(smem, row + 8, column, relu(c[2] + b.x, c[3] + b.y));
    }
  }
  barrier();

  constexpr u32 CHUNKS = T::BN / 8;
  if (!pool) {
    for (u32 i = t; i < T::BM * CHUNKS; i += T::THREADS) {
      u32 row = i / CHUNKS, chunk = i % CHUNKS;
      if (m0 + row < pixels)
        *(uint4 *)(y + (u64)(m0 + row) * out + n0 + chunk * 8) = loadShared<uint4>(smem + row * STAGED_ROW<T> + chunk * 16);
    }
    return;
  }
  for (u32 i = t; i < T::BM / 4 * CHUNKS; i += T::THREADS) {
    u32 window = i / CHUNKS, chunk = i % CHUNKS;
    if (m0 + window * 4 >= pixels) break;
    u32 at = smem + window * 4 * STAGED_ROW<T> + chunk * 16;
    uint4 best = loadShared<uint4>(at);
    uint4 low = 0, high = 0; // the places of the maxima
    UNROLL for (int k = 1; k < 4; k++) {
      uint4 other = loadShared<uint4>(at + k * STAGED_ROW<T>);
      UNROLL for (int c = 0; c < 4; c++) {
        // None is negative, so that their bits compare as they do.
        u32 b = best[c], o = other[c];
        bool l = (o & 0xffff) > (b & 0xffff), h = o >> 16 > b >> 16;
        best[c] = (l ? o & 0xffff : b & 0xffff) | (h ? o & 0xffff0000u : b & 0xffff0000u);
        low[c] = l ? k : low[c];
        high[c] = h ? k : high[c];
      }
    }
    u64 to = (u64)(m0 / 4 + window) * out + n0 + chunk * 8;
    *(uint4 *)(y + to) = best;
    if (arg)
      *(uint2 *)(arg + to) = {low.x | high.x << 8 | low.y << 16 | high.y << 24, low.z | high.z << 8 | low.w << 16 | high.w << 24};
  }
}

// dx = dy * w, turned round, where x is not 0, and 0 elsewhere. dx may be x.
template <typename T, u32 ODD>
DEVICE void backward(bf16 *dx, const bf16 *dy, const bf16 *w, const bf16 *x, const Step *step, Side<ODD> height, Side<ODD> width, u32 in, u32 out) {
  extern SHARED __attribute__((aligned(128))) char memory[];
  const u32 smem = sharedAddress(memory);
  const u32 across = in / T::BN, m0 = blockX() / across * T::BM, n0 = blockX() % across * T::BN;
  const u32 pixels = pixelsOf(step->rows, height, width);
  if (m0 >= pixels) return;

  // What this thread writes in the end, chunks of 8 channels, and of each a byte
  // that tells where x is not 0. It is read while the first copies come, if there
  // are registers to keep it in: then nobody waits for it in the end.
  constexpr u32 CHUNKS = T::BN / 8, ROWS = T::THREADS / CHUNKS;
  constexpr int EACH = T::BM / ROWS;
  constexpr bool EARLY = T::TM * T::TN < 64 * 64;
  const u32 t = thread(), row0 = t / CHUNKS, chunk = t % CHUNKS;
  u32 alive[(EACH + 3) / 4] = {};
  auto read = [&](int k) __attribute__((always_inline)) {
    u32 row = m0 + row0 + k * ROWS;
    uint4 v = row < pixels ? *(const uint4 *)(x + (u64)row * in + n0 + chunk * 8) : uint4(0);
    UNROLL for (int c = 0; c < 4; c++) alive[k / 4] |= ((v[c] & 0x7fffu ? 1u : 0) | (v[c] & 0x7fff0000u ? 2u : 0)) << (k % 4 * 8 + 2 * c);
  };
  Product<T> p;
  gather<T, true>(p, smem, dy, w, pixels, height, width, false, out, in, m0, n0, [&] __attribute__((always_inline)) {
    if (EARLY) UNROLL for (int k = 0; k < EACH; k++) read(k);
  });

  const u32 lane = t & 31, warp = t >> 5;
  const u32 wm = warp % T::WM * T::TM, wn = warp / T::WM * T::TN;
  UNROLL for (int j = 0; j < Product<T>::NI; j++) UNROLL for (int i = 0; i < Product<T>::MI; i++) {
    u32 row = wm + i * 16 + (lane >> 2), column = wn + j * 8 + (lane & 3) * 2;
    float *c = p.c[i][j];
    stage<T>(smem, row, column, pack(c[0], c[1]));
    stage<T>(smem, row + 8, column, pack(c[2], c[3]));
  }
  barrier();

  if (!EARLY) UNROLL for (int k = 0; k < EACH; k++) read(k);
  UNROLL for (int k = 0; k < EACH; k++) {
    u32 row = row0 + k * ROWS;
    uint4 v = loadShared<uint4>(smem + row * STAGED_ROW<T> + chunk * 16);
    UNROLL for (int c = 0; c < 4; c++) {
      u32 bits = alive[k / 4] >> (k % 4 * 8 + 2 * c);
      v[c] &= (bits & 1 ? 0xffffu : 0) | (bits & 2 ? 0xffff0000u : 0);
    }
    if (m0 + row < pixels) *(uint4 *)(dx + (u64)(m0 + row) * in + n0 + chunk * 8) = v;
  }
}

// A tile: its name is NAME{M}x{N}x{K}s{stages}. Heights and widths of images are
// ODD << lh and ODD << lw.
#define FORWARD(name, ODD, m, n, k, st, wm, wn, per)                                                                        \
  GLOBAL BLOCK(32 * wm * wn, per) void name##m##x##n##x##k##s##st(bf16 *y, u8 *arg, const bf16 *x, const bf16 *w,           \
      const float *bias, const Step *step, u32 lh, u32 lw, u32 in, u32 out, u32 pool) {                                    \
    forward<Tile<m, n, k, st, wm, wn, per>, ODD>(y, arg, x, w, bias, step, {lh}, {lw}, in, out, pool);                      \
  }
#define BACKWARD(name, ODD, m, n, k, st, wm, wn, per)                                                                       \
  GLOBAL BLOCK(32 * wm * wn, per) void name##m##x##n##x##k##s##st(bf16 *dx, const bf16 *dy, const bf16 *w,                  \
      const bf16 *x, const Step *step, u32 lh, u32 lw, u32 in, u32 out) {                                                  \
    backward<Tile<m, n, k, st, wm, wn, per>, ODD>(dx, dy, w, x, step, {lh}, {lw}, in, out);                                 \
  }
