// The loop that the forward pass and the gradient of the data share: a matrix
// product whose left side is gathered from an image, a tap of the 3x3 filter at
// a time, on tensor cores by mma.sync.
//
// Rows are pixels (M), columns the channels written (N), and the sum runs over
// taps and the channels read (K), BK at a time. BM x BK of the image and BK x BN
// of the filter are copied ahead into shared memory by cp.async, STAGES deep;
// pixels outside of the image are filled with zeros by the copy itself. Rows of
// 16-byte chunks are stored with the chunk's number xored by the row's, so that
// neither the copies nor ldmatrix meet bank conflicts.
#pragma once
#include "dev.h"

// chunkAt is the place of a chunk of 16 bytes in a tile of rows of BYTES.
template <int BYTES> DEVICE u32 chunkAt(u32 row, u32 chunk) {
  static_assert(BYTES >= 64, "rows of 64 bytes or more");
  if (BYTES == 64) return row * 64 + ((chunk ^ (row >> 1 & 3)) << 4);
  return row * BYTES + ((chunk ^ (row & 7)) << 4);
}

// Pixel of a row of the product. With quads four rows in a row are the 2x2
// pixels of one window of a pool, so that a block can pool what it computes.
struct Pixel {
  u32 image, y, x;
};
template <u32 ODD> DEVICE Pixel pixelOf(u32 m, Side<ODD> h, Side<ODD> w, bool quads) {
  if (!quads) return {imageOf(m, h, w), h.rest(w.divide(m)), w.rest(m)};
  u32 q = m >> 2;
  u32 x = w.half().rest(q), y = h.half().rest(w.half().divide(q));
  return {imageOf(q, h.half(), w.half()), 2 * y + (m >> 1 & 1), 2 * x + (m & 1)};
}

// Tile is the choice of sizes of one kernel: the block of the product, stages,
// and how its WM x WN warps share it.
template <int BM_, int BN_, int BK_, int STAGES_, int WM_, int WN_, int PER_SM_> struct Tile {
  static constexpr int BM = BM_, BN = BN_, BK = BK_, STAGES = STAGES_, WM = WM_, WN = WN_, PER_SM = PER_SM_;
  static constexpr int THREADS = 32 * WM * WN;
  static constexpr int TM = BM / WM, TN = BN / WN; // of a warp
  static constexpr int A_BYTES = BM * BK * 2, STAGE_BYTES = A_BYTES + BN * BK * 2;
  static_assert(TM % 16 == 0 && TN % 16 == 0, "warps multiply 16 x 16");
};

// Product is a warp's part of the sum: 16x8 pieces.
template <typename T> struct Product {
  static constexpr int MI = T::TM / 16, NI = T::TN / 8;
  float c[MI][NI][4];
};

// gather runs the product over the whole of K. BACKWARD false: image is x, its
// channels `depth` are in and the filter's rows are k, its columns `width` out.
// BACKWARD true: image is dy, depth is out, taps are turned round, and the
// filter's rows are the columns of the product. smem is the block's shared
// memory; when gather returns nobody reads it any more. meanwhile is called once
// the first copies are under way.
template <typename T, bool BACKWARD, u32 ODD, typename F>
DEVICE void gather(Product<T> &p, u32 smem, const bf16 *image, const bf16 *filter, u32 pixels, Side<ODD> h, Side<ODD> w, bool quads, u32 depth, u32 width, u32 m0, u32 n0, F meanwhile) {
  constexpr int BM = T::BM, BN = T::BN, BK = T::BK, STAGES = T::STAGES;
  constexpr int CHUNKS = BK / 8;                // of a row of the image's tile
  constexpr int ROWS = T::THREADS / CHUNKS;     // that the threads copy at once
  constexpr int COPIES = BM / ROWS;             // of each thread
  constexpr int F_CHUNKS = (BACKWARD ? BK : BN) / 8; // the same for the filter's tile
  constexpr int F_ROWS = T::THREADS / F_CHUNKS;
  constexpr int F_HEIGHT = BACKWARD ? BN : BK;
  constexpr int F_COPIES = F_HEIGHT / F_ROWS;
  static_assert(BM % ROWS == 0 && F_HEIGHT % F_ROWS == 0, "threads must share the copies");
  constexpr int MI = Product<T>::MI, NI = Product<T>::NI;

  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 row = t / CHUNKS, chunk = t % CHUNKS;

  // What this thread copies: the offset of each pixel, and a bit for each tap
  // that tells whether the tap's pixel lies in the image.
  u32 offset[COPIES], inside[COPIES];
  UNROLL for (int i = 0; i < COPIES; i++) {
    u32 m = m0 + row + i * ROWS;
    Pixel q = pixelOf(m, h, w, quads);
    u32 at = (q.image * h.size() + q.y) * w.size() + q.x;
    u32 rows = (q.y > 0 ? 1u : 0) | 2u | (h.contains(q.y + 1) ? 4u : 0);
    u32 columns = (q.x > 0 ? 1u : 0) | 2u | (w.contains(q.x + 1) ? 4u : 0);
    u32 bits = (rows & 1 ? columns : 0) | columns << 3 | (rows & 4 ? columns << 6 : 0);
    offset[i] = m < pixels ? at * depth + chunk * 8 : 0;
    inside[i] = m < pixels ? bits : 0;
  }
  const u32 fRow = t / F_CHUNKS, fChunk = t % F_CHUNKS;

  // Where the next copy comes from.
  u32 tap = 0, channel = 0;
  i32 shift = -(i32)(w.size() + 1) * (i32)depth; // of the tap's pixel, and channel
  const bf16 *f = BACKWARD ? filter + (u64)8 * depth * width + (u64)(n0 + fRow) * depth + fChunk * 8
                           : filter + (u64)fRow * width + n0 + fChunk * 8;
  auto copy = [&](u32 stage) {
    u32 a = smem + stage * T::STAGE_BYTES, b = a + T::A_BYTES;
    UNROLL for (int i = 0; i < COPIES; i++) {
      bool keep = inside[i] >> tap & 1;
      const bf16 *from = image + (keep ? (i32)offset[i] + shift : 0);
      copyAsync(a + chunkAt<BK * 2>(row + i * ROWS, chunk), from, keep);
    }
    UNROLL for (int i = 0; i < F_COPIES; i++)
      copyAsync(b + chunkAt<F_CHUNKS * 16>(fRow + i * F_ROWS, fChunk), f + (u64)(i * F_ROWS) * (BACKWARD ? depth : width));
    f += BACKWARD ? BK : BK * width;
    channel += BK;
    shift += BK;
    if (channel == depth) {
      channel = 0;
      tap++;
      // To the next pixel of the row, or from the row's end to the next row.
      shift += (tap == 3 || tap == 6) ? (i32)(w.size() - 3) * (i32)depth : 0;
      if (BACKWARD) f -= (u64)depth * width + depth;
    }
  };

  const i32 steps = 9 * depth / BK;
  i32 copied = 0;
  UNROLL for (int s = 0; s < STAGES - 1; s++) {
    if (copied < steps) copy(s);
    commitCopies();
    copied++;
  }
  meanwhile();
  UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++) UNROLL for (int k = 0; k < 4; k++) p.c[i][j][k] = 0;

  // Rows that this lane addresses for ldmatrix. Of the image: 16 rows by two
  // chunks. Of the filter: forward 16 rows (k) by two chunks, backward 16 rows
  // (columns of the product) by two chunks, in the other order.
  const u32 wm = warp % T::WM * T::TM, wn = warp / T::WM * T::TN;
  const u32 aRow = wm + (lane & 15), aChunk = lane >> 4;
  const u32 bRow = BACKWARD ? wn + (lane >> 4) * 8 + (lane & 7) : (lane & 15);
  const u32 bChunk = BACKWARD ? lane >> 3 & 1 : wn / 8 + (lane >> 4);

  u32 read = 0, write = STAGES - 1;
  for (i32 step = 0; step < steps; step++) {
    waitCopies<STAGES - 2>();
    barrier(); // everybody's copies are there, and everybody has left the stage that is written next
    if (copied < steps) copy(write);
    commitCopies();
    copied++;
    write = write + 1 == STAGES ? 0 : write + 1;

    const u32 a = smem + read * T::STAGE_BYTES, b = a + T::A_BYTES;
    read = read + 1 == STAGES ? 0 : read + 1;
    UNROLL for (int k = 0; k < BK / 16; k++) {
      Matrices fa[MI], fb[NI / 2];
      UNROLL for (int i = 0; i < MI; i++) fa[i] = ldmatrix(sharedAt(a + chunkAt<BK * 2>(aRow + i * 16, aChunk + k * 2)));
      UNROLL for (int j = 0; j < NI / 2; j++) {
        if (BACKWARD) fb[j] = ldmatrix(sharedAt(b + chunkAt<BK * 2>(bRow + j * 16, bChunk + k * 2)));
        else fb[j] = ldmatrixTrans(sharedAt(b + chunkAt<BN * 2>(bRow + k * 16, bChunk + j * 2)));
      }
      UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++)
          multiply(p.c[i][j], fa[i].r, fb[j / 2].r[j % 2 * 2], fb[j / 2].r[j % 2 * 2 + 1]);
    }
  }
  waitCopies<0>();
  barrier();
}

// The finished block goes through shared memory, as rows of BN channels with 16
// bytes between two, so that it reaches memory in whole chunks.
template <typename T> constexpr int STAGED_ROW = T::BN * 2 + 16;

template <typename T> DEVICE void stage(u32 smem, u32 row, u32 column, u32 pair) {
  storeShared<u32>(smem + row * STAGED_ROW<T> + column * 2, pair);
}
