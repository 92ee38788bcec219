// The gradient of the filter of a 3x3 convolution, on tensor cores by mma.sync:
//
//	dw[tap][i][o] = sum over all pixels of x[pixel + tap][i] * dy[pixel][o]
//
// The sum over pixels is cut into a fixed number of parts, each of which is
// written on its own and added by "reduce" or by the optimiser, in order: the
// same bits on every run.
//
// A block makes the three taps of one row of the filter for BM input and BN
// output channels. It goes through its pixels 64 at a time (48 of images whose sides
// are three times a power of two), whole image rows:
// the rows of x lie in shared memory with a column of zeros on either side, so
// that the three taps read the same copy, a pixel further each. Rows above and
// below the image are filled with zeros by the copies. Both operands lie with
// the pixels, which the sum runs over, as rows: ldmatrix transposes them.
#include "conv.h"

// PIXELS are those of a step of the sum, whole rows.
template <u32 ODD> constexpr int PIXELS = ODD == 1 ? 64 : 48;

// FilterTile: WM x WN warps for each of the three taps.
template <int BM_, int BN_, int STAGES_, int WM_, int WN_, int PER_SM_> struct FilterTile {
  static constexpr int BM = BM_, BN = BN_, STAGES = STAGES_, WM = WM_, WN = WN_, PER_SM = PER_SM_;
  static constexpr int THREADS = 3 * 32 * WM * WN;
  static constexpr int TM = BM / WM, TN = BN / WN;
};

template <typename T, u32 ODD>
DEVICE void filterGradient(float *part, const bf16 *x, const bf16 *dy, const Step *step, u32 images, Side<ODD> height, Side<ODD> width, u32 in, u32 out, u32 parts) {
  constexpr int BM = T::BM, BN = T::BN, STAGES = T::STAGES, PIXELS = ::PIXELS<ODD>;
  constexpr int MI = Product<T>::MI, NI = Product<T>::NI;
  constexpr u32 X_CHUNKS = BM / 8, Y_CHUNKS = BN / 8;
  constexpr int X_COPIES = PIXELS * X_CHUNKS, Y_COPIES = PIXELS * Y_CHUNKS;
  extern SHARED __attribute__((aligned(128))) char memory[];
  const u32 smem = sharedAddress(memory);
  const u32 t = thread(), lane = t & 31, warp = t >> 5;

  const u32 row = blockX() % 3, across = out / BN; // of the filter
  const u32 i0 = blockX() / 3 / across * BM, o0 = blockX() / 3 % across * BN;

  // Shared memory of a stage: x, rows of W+2 pixels, and dy.
  const u32 w = width.size(), rows = width.divide(PIXELS); // of a step
  const u32 xBytes = rows * (w + 2) * BM * 2, stageBytes = xBytes + PIXELS * BN * 2;

  // The steps of this part, of which only those with valid rows are done.
  const u32 all = (images * height.size() * w + PIXELS - 1) / PIXELS;
  const u32 valid = (step->rows * height.size() * w + PIXELS - 1) / PIXELS;
  const u32 begin = (u64)all * blockY() / parts, bound = (u64)all * (blockY() + 1) / parts;
  const u32 end = bound < valid ? bound : valid;
  const i32 steps = end > begin ? end - begin : 0;

  // The columns of zeros, once: copies never write them.
  for (u32 i = t; i < STAGES * rows * 2 * X_CHUNKS; i += T::THREADS) {
    u32 chunk = i % X_CHUNKS, side = i / X_CHUNKS & 1, r = i / X_CHUNKS / 2;
    u32 stage = r / rows;
    r -= stage * rows;
    storeShared<uint4>(smem + stage * stageBytes + chunkAt<BM * 2>(r * (w + 2) + side * (w + 1), chunk), uint4(0));
  }

  const u32 imageRows = step->rows * height.size();
  auto copy = [&](u32 stage, u32 at) {
    const u32 a = smem + stage * stageBytes, b = a + xBytes;
    UNROLL for (int k = 0; k < (X_COPIES + T::THREADS - 1) / T::THREADS; k++) {
      u32 i = t + k * T::THREADS, chunk = i % X_CHUNKS, p = i / X_CHUNKS, r = width.divide(p), column = width.rest(p);
      if (X_COPIES % T::THREADS && i >= X_COPIES) break;
      u32 y = at * rows + r; // a row of all images; the one read is a row of the filter away
      u32 inImage = height.rest(y) + row - 1;
      bool keep = y < imageRows && inImage < height.size();
      const bf16 *from = x + (keep ? (u64)((y + row - 1) * w + column) * in + i0 + chunk * 8 : 0);
      copyAsync(a + chunkAt<BM * 2>(r * (w + 2) + 1 + column, chunk), from, keep);
    }
    UNROLL for (int k = 0; k < (Y_COPIES + T::THREADS - 1) / T::THREADS; k++) {
      u32 i = t + k * T::THREADS, chunk = i % Y_CHUNKS, p = i / Y_CHUNKS, pixel = at * PIXELS + p;
      if (Y_COPIES % T::THREADS && i >= Y_COPIES) break;
      bool keep = pixel < imageRows * w;
      copyAsync(b + chunkAt<BN * 2>(p, chunk), dy + (keep ? (u64)pixel * out + o0 + chunk * 8 : 0), keep);
    }
  };

  i32 copied = 0;
  UNROLL for (int s = 0; s < STAGES - 1; s++) {
    if (copied < steps) copy(s, begin + copied);
    commitCopies();
    copied++;
  }
  Product<T> p;
  UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++) UNROLL for (int k = 0; k < 4; k++) p.c[i][j][k] = 0;

  const u32 tap = warp % 3, wm = warp / 3 % T::WM * T::TM, wn = warp / 3 / T::WM * T::TN;
  // The pixel of x that this lane addresses in each quarter of the step.
  u32 pixel[PIXELS / 16];
  UNROLL for (int k = 0; k < PIXELS / 16; k++) {
    u32 q = k * 16 + (lane >> 4) * 8 + (lane & 7);
    pixel[k] = width.divide(q) * (w + 2) + width.rest(q) + tap;
  }
  const u32 aChunk = wm / 8 + (lane >> 3 & 1);
  const u32 bRow = lane & 15, bChunk = wn / 8 + (lane >> 4);

  u32 read = 0, write = STAGES - 1;
  for (i32 s = 0; s < steps; s++) {
    waitCopies<STAGES - 2>();
    barrier();
    if (copied < steps) copy(write, begin + copied);
    commitCopies();
    copied++;
    write = write + 1 == STAGES ? 0 : write + 1;

    const u32 a = smem + read * stageBytes, b = a + xBytes;
    read = read + 1 == STAGES ? 0 : read + 1;
    UNROLL for (int k = 0; k < PIXELS / 16; k++) {
      Matrices fa[MI];
      UNROLL for (int i = 0; i < MI; i++) fa[i] = ldmatrixTrans(sharedAt(a + chunkAt<BM * 2>(pixel[k], aChunk + i * 2)));
      UNROLL for (int j = 0; j < NI / 2; j++) {
        Matrices fb = ldmatrixTrans(sharedAt(b + chunkAt<BN * 2>(bRow + k * 16, bChunk + j * 2)));
        UNROLL for (int i = 0; i < MI; i++) {
          multiply(p.c[i][2 * j], fa[i].r, fb.r[0], fb.r[1]);
          multiply(p.c[i][2 * j + 1], fa[i].r, fb.r[2], fb.r[3]);
        }
      }
    }
  }
  waitCopies<0>();

  float *to = part + ((u64)blockY() * 9 + row * 3 + tap) * in * out;
  UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++) {
    float *c = p.c[i][j];
    u64 at = (u64)(i0 + wm + i * 16 + (lane >> 2)) * out + o0 + wn + j * 8 + (lane & 3) * 2;
    *(float2 *)(to + at) = {c[0], c[1]};
    *(float2 *)(to + at + (u64)8 * out) = {c[2], c[3]};
  }
}

// A tile: its name is NAME{in}x{out}s{stages}. Heights and widths of images are
// ODD << lh and ODD << lw. The host tries those that fit.
#define FILTER(name, ODD, m, n, st, wm, wn, per)                                                                           \
  GLOBAL BLOCK(96 * wm * wn, per) void name##m##x##n##s##st(float *part, const bf16 *x, const bf16 *dy,                    \
      const Step *step, u32 images, u32 lh, u32 lw, u32 in, u32 out, u32 parts) {                                          \
    filterGradient<FilterTile<m, n, st, wm, wn, per>, ODD>(part, x, dy, step, images, {lh}, {lw}, in, out, parts);         \
  }
#define BOTH(...) FILTER(conv_wgrad_, 1, __VA_ARGS__) FILTER(conv_wgrad_by3_, 3, __VA_ARGS__)

BOTH(32, 32, 3, 1, 1, 4)
BOTH(64, 64, 2, 1, 2, 2)
BOTH(64, 128, 2, 1, 4, 1)
