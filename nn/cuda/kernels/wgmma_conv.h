// What the wgmma convolutions share: how a tile lies in the images, and what is
// done with its sums.
//
// They are implicit matrix products, transposed: channels are the rows (M) and
// pixels the columns (N), so that a 2x2 pooling window lies in one thread.
//
//   out[m][pixel] = sum over taps (r, s) and k of w[r, s][k, m] act[pixel + (r, s) - 1][k]
//
// A tile of pixels is whole image rows, R rows of I images, in the order
// [row][image][column]. In this order a vertical shift is a constant offset: one
// box of R + 2 rows, shifted sideways by s, serves three taps, and what TMA fills
// with zeros outside of the image is the halo.
#pragma once
#include "hopper.h"

// BackwardSpread is BackwardData of a layer that reads what a pool wrote: in place
// of the gradient there it writes that at the pool's input, of twice the height and
// width, as spread in pool.cu makes it of that.
enum Pass { Forward, ForwardPool, BackwardData, BackwardSpread };

// Shape is the geometry of a tile: MW x NW warpgroups of 64 channels x NP pixels.
template <Pass PASS_, int W_, int MW_, int NW_, int NP_> struct Shape {
  static constexpr Pass PASS = PASS_;
  static constexpr bool BACK = PASS >= BackwardData;
  static constexpr int W = W_, MW = MW_, NW = NW_, NP = NP_;
  static constexpr int P = NP * NW;                         // pixels
  static constexpr int I = P > W * W ? P / (W * W) : 1;     // images
  static constexpr int R = P / (I * W);                     // rows of each
  static constexpr int ROW = I * W;                         // pixels from a row to the next
  static constexpr int MT = 64 * MW;                        // channels
  static constexpr int STORED = NP < 128 ? NP : 128;        // pixels that are stored at a time
  static constexpr int BOX = STORED * 128;                  // bytes of that
  static constexpr int ACT = (R + 2) * ROW * 128;           // bytes of a box of activations
  static constexpr int OUT = PASS == ForwardPool ? NP / 4 * 128 : PASS == Forward ? BOX : PASS == BackwardSpread ? 4 * 8192 : NP * 128; // bytes of a warpgroup's output
  static constexpr int EXTRA = PASS == ForwardPool ? NP / 4 * 64 : 0; // bytes of its arguments
};

// Tile is where a tile lies: its first channel, image and row.
template <typename S> struct Tile {
  static constexpr u32 PER_IMAGE = S::I == 1 ? S::W / S::R : 1;
  int m, image, y;
  DEVICE Tile(u32 index, u32 across) : m(index % across * S::MT) {
    u32 p = index / across;
    image = p / PER_IMAGE * S::I;
    y = p % PER_IMAGE * S::R;
  }
  // count is the tiles of images whose channels are `across` tiles.
  static DEVICE u32 count(u32 images, u32 across) { return (images * PER_IMAGE + S::I - 1) / S::I * across; }
};

// Output is where the sums of a warpgroup go.
struct Output {
  const void *map;
  u32 out, extra; // its shared memory
  int m, image, y;
  int id; // of its barrier
};

// staged is where in a warpgroup's output, rows of 64 channels, a lane's row of
// matrices lies: two matrices of channels, then the two of the next 8 pixels.
DEVICE u32 staged() {
  u32 t = thread() & 127, lane = t & 31, chunk = t / 32 * 2 + (lane >> 3 & 1);
  return ((lane >> 4) * 8 + (lane & 7)) * 128 + ((chunk ^ (lane & 7)) << 4);
}

// storeForward writes relu(sum + bias) as bf16 [pixel][channel].
template <typename S> DEVICE void storeForward(const float (&d)[S::NP / 2], const Output &o, float bias0, float bias1) {
  u32 t = thread() & 127, to = o.out + staged();
  UNROLL for (int round = 0; round < S::NP / S::STORED; round++) {
    if (t == 0) waitStoresRead();
    barrier(o.id, 128);
    UNROLL for (int j = 0; j < S::STORED / 8; j += 2) {
      u32 v[4];
      UNROLL for (int i = 0; i < 4; i++) {
        int e = 4 * (round * S::STORED / 8 + j + i / 2) + i % 2 * 2;
        float b = i % 2 ? bias1 : bias0;
        v[i] = relu(d[e] + b, d[e + 1] + b);
      }
      storeMatricesTransposed(to + j * 8 * 128, v);
    }
    fenceAsync();
    barrier(o.id, 128);
    if (t == 0) {
      storeBox(o.map, o.out, o.m, 0, o.image, o.y + round * S::STORED / S::ROW);
      commitStores();
    }
  }
}

// fetchMask brings what storeBackward needs of the layer's input, to where the
// output will lie. It is the work of the thread that stores.
template <typename S> DEVICE void fetchMask(const void *x, const Output &o, u32 bar) {
  waitStoresRead();
  arriveExpecting(bar, S::NP * 128);
  for (int round = 0; round < S::NP / S::STORED; round++)
    loadBox(o.out + round * S::BOX, x, bar, o.m, 0, o.image, o.y + round * S::STORED / S::ROW);
}

// storeBackward writes the sums where x, in their place, is not 0, and 0 elsewhere.
template <typename S> DEVICE void storeBackward(const float (&d)[S::NP / 2], const Output &o) {
  u32 t = thread() & 127, to = o.out + staged();
  UNROLL for (int round = 0; round < S::NP / S::STORED; round++) {
    UNROLL for (int j = 0; j < S::STORED / 8; j += 2) {
      u32 x[4], v[4], at = to + round * S::BOX + j * 8 * 128;
      loadMatricesTransposed(x, at);
      UNROLL for (int i = 0; i < 4; i++) {
        int e = 4 * (round * S::STORED / 8 + j + i / 2) + i % 2 * 2;
        // The sum's upper bits tell of each half whether it is 0; prmt spreads them.
        u32 keep = __nvvm_prmt((x[i] & 0x7fff7fffu) + 0x7fff7fffu, 0, 0xbb99);
        v[i] = pack(d[e], d[e + 1]) & keep;
      }
      storeMatricesTransposed(at, v);
    }
    fenceAsync();
    barrier(o.id, 128);
    if (t == 0) {
      storeBox(o.map, o.out + round * S::BOX, o.m, 0, o.image, o.y + round * S::STORED / S::ROW);
      commitStores();
    }
  }
}

// fetchPlaces brings where in its window each maximum of the pool was, to behind
// where the sums will lie. It is the work of the thread that stores.
template <typename S> DEVICE void fetchPlaces(const void *arg, const Output &o, u32 bar) {
  waitStoresRead();
  arriveExpecting(bar, S::NP * 64);
  loadBox(o.out + S::NP * 128, arg, bar, o.m / 2, 0, o.image, o.y);
}

// spreadMask is of two channels the halves whose place, of four in a word, is k.
DEVICE u32 spreadMask(u32 places, u32 k, u32 select) { return __nvvm_prmt(0x80808080u - (places ^ k * 0x01010101u), 0, select); }

// storeSpread writes the sums each at its place in a window of four pixels, and 0 at
// the other three: the four places, one after the other, in boxes of 64 pixels that
// lie in every other column and row. A box has one of four slots, and is filled
// while those before it are stored. upper and lower are the maps of the windows'
// two rows. Where the layer's input is 0, the place is 4 (but where the maximum was
// so far below the least bf16 that it rounds to 0).
template <typename S>
DEVICE void storeSpread(const float (&d)[S::NP / 2], const Output &o, const void *upper, const void *lower, u32 channels) {
  constexpr int N = S::NP / 16, HALVES = S::NP / 64;
  u32 t = thread() & 127, chunk = t & 7, pixel = t >> 3, to = o.out + staged();
  u32 at = o.out + pixel * 128 + ((chunk ^ (pixel & 7)) << 4);
  uint2 places[N];
  uint4 sums[N];
  UNROLL for (int i = 0; i < N; i++) places[i] = loadShared<uint2>(o.out + S::NP * 128 + (pixel + 16 * i) * 64 + chunk * 8);
  UNROLL for (int j = 0; j < S::NP / 8; j += 2) {
    u32 v[4];
    UNROLL for (int i = 0; i < 4; i++) {
      int e = 4 * (j + i / 2) + i % 2 * 2;
      v[i] = pack(d[e], d[e + 1]);
    }
    storeMatricesTransposed(to + j * 8 * 128, v);
  }
  barrier(o.id, 128);
  UNROLL for (int i = 0; i < N; i++) sums[i] = loadShared<uint4>(at + i * 2048);
  UNROLL for (int round = 0; round < 4 * HALVES; round++) {
    int k = round / HALVES, half = round % HALVES;
    u32 slot = round % 4 * 8192;
    if (round >= 4) {
      if (t == 0) waitStoresRead<3>();
      barrier(o.id, 128);
    }
    UNROLL for (int i = 0; i < 4; i++) { // the first boxes take the place of the sums, each thread's of its own
      uint2 p = places[half * 4 + i];
      uint4 v = sums[half * 4 + i];
      v.x &= spreadMask(p.x, k, 0x9988), v.y &= spreadMask(p.x, k, 0xbbaa);
      v.z &= spreadMask(p.y, k, 0x9988), v.w &= spreadMask(p.y, k, 0xbbaa);
      storeShared(at + slot + i * 2048, v);
    }
    fenceAsync();
    barrier(o.id, 128);
    if (t == 0) {
      storeBox(k < 2 ? upper : lower, o.out + slot, k % 2 * channels + o.m, 0, o.image, o.y + half * 64 / S::ROW);
      commitStores();
    }
  }
}

// storePooled writes the maxima of a warpgroup's 2x2 windows as bf16, and in arg,
// if there is one, which of the four each was: 0 to 3 in row-major order, the
// first of equals, or 4 where the maximum is 0 and no gradient flows.
template <typename S>
DEVICE void storePooled(const float (&d)[S::NP / 2], const Output &o, float bias0, float bias1, u8 *arg, u32 images, u32 channels) {
  constexpr int ROW = S::ROW / 8, HALF = S::W / 2;
  u32 t = thread() & 127, lane = t & 31;
  if (t == 0) waitStoresRead();
  barrier(o.id, 128);
  // The pooled pixels g and g + 4 are the columns of a matrix by turns.
  u32 chunk = t / 32 * 2 + (lane >> 3 & 1), pixel = (lane & 1) * 4 + (lane >> 1 & 3);
  u32 to = o.out + ((lane >> 4) * 8 + pixel) * 128 + ((chunk ^ pixel) << 4);
  u32 place = o.extra + (lane & 3) * 64 + t / 32 * 16 + (lane >> 2);
  UNROLL for (int g = 0; g < S::NP / 16; g += 4) { // groups of 4 pooled pixels
    u32 v[4];
    UNROLL for (int i = 0; i < 4; i++) { // channels i%2, groups i/2
      float best[2];
      UNROLL for (int b = 0; b < 2; b++) {
        int group = g + i / 2 * 2 + b, upper = 4 * (group / ROW * 2 * ROW + group % ROW) + i % 2 * 2, lower = upper + 4 * ROW;
        best[b] = d[upper];
        u32 k = 0;
        if (d[upper + 1] > best[b]) best[b] = d[upper + 1], k = 1;
        if (d[lower] > best[b]) best[b] = d[lower], k = 2;
        if (d[lower + 1] > best[b]) best[b] = d[lower + 1], k = 3;
        best[b] += i % 2 ? bias1 : bias0;
        storeShared(place + group * 256 + i % 2 * 8, (u8)(best[b] > 0 ? k : 4));
      }
      v[i] = relu(best[0], best[1]);
    }
    storeMatricesTransposed(to + g * 4 * 128, v);
  }
  fenceAsync();
  barrier(o.id, 128);
  if (t == 0) {
    storeBox(o.map, o.out, o.m, 0, o.image, o.y / 2);
    commitStores();
  }
  if (!arg) return;
  for (u32 c = t; c < S::NP; c += 128) { // 16 bytes each
    u32 p = c / 4, x = p % HALF, r = p / HALF, i = o.image + r % S::I, y = o.y / 2 + r / S::I;
    if (i < images) *(uint4 *)(arg + ((u64)(i * HALF + y) * HALF + x) * channels + o.m + c % 4 * 16) = loadShared<uint4>(o.extra + c * 16);
  }
}

// multiplyTap issues a warpgroup's product of one tap's 64 x 64 weights at w and
// the pixels at x.
template <typename S> DEVICE void multiplyTap(float (&d)[S::NP / 2], u32 w, u32 x, u32 add) {
  wgmmaBegin();
  UNROLL for (int k = 0; k < 4; k++) {
    if constexpr (S::BACK) // a row of w is an input's outputs: along the sum
      wgmma<S::NP, 0, 0>(d, operand(w + k * 32, 1024), operand(x + k * 32, 1024), add | k);
    else
      wgmma<S::NP, 1, 0>(d, operand(w + k * 2048, 1024), operand(x + k * 32, 1024), add | k);
  }
  wgmmaCommit();
}

// loadTap fetches the weights of tap 3 s + r: 64 of the sum's channels from k, 64
// of the result's from m. Going backward the taps are turned about.
template <Pass PASS> DEVICE void loadTap(u32 to, const void *map, u32 bar, int tap, int k, int m, int sumChannels, int resultChannels) {
  int turned = tap % 3 * 3 + tap / 3;
  if (PASS >= BackwardData)
    loadBox2(to, map, bar, k, (8 - turned) * resultChannels + m);
  else
    loadBox2(to, map, bar, m, turned * sumChannels + k);
}
