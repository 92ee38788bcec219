// Muon (Jordan et al., 2024): momentum, whose matrix is replaced by a nearly
// orthogonal one. Package kernel has the formulas; here the iteration is the
// paper's own, on the matrix itself and in bf16, because that is what tensor
// cores are fast at:
//
//	A = X^T X,  X = a X + X (b A + c A^2)        five times, from X = u/|u|
//
// X is [rows][columns], a column for each output channel. One launch serves all
// matrices: a table says where each lies, and for each kernel which blocks are
// its own. The launches of a step are
//
//	muon_begin                               momentum; X = u, not yet normalised
//	five times muon_gram, muon_poly, muon_apply
//
// The first muon_poly takes |u|^2 from the diagonal of A, and the last
// muon_apply updates the parameters. All blocks compute 64 x 64 of a result.
#include "conv.h"

constexpr int SIDE = 64, THREADS = 128, EACH = 8;
constexpr float COEFFICIENT_A = 3.4445f, COEFFICIENT_B = -4.7750f, COEFFICIENT_C = 2.0315f;
constexpr float LEAST = 1e-14f; // the square of the least norm that u is divided by

// Matrix is one parameter in the table that the host writes.
struct Matrix {
  float *x;       // the parameter
  const float *g; // its gradient: the sum of g[k * stride + i] over parts
  float *m;       // momentum
  bf16 *copy;     // rounded copy of x, or null
  bf16 *u[2];     // X and the next X, [rows][columns]
  float *a;       // A in aParts parts to be added, [aParts][columns][columns]
  bf16 *b;        // b A + c A^2
  float *scale;   // what the next X is multiplied by: 1/|u| the first time
  u32 rows, columns; // columns is a multiple of 32
  u32 parts, stride;
  u32 aParts;
  u32 begin, gram, poly, apply; // the first block of each kernel
  float rate;     // factor of the step's learning rate
  float momentum;
  float decay;    // decoupled
};
static_assert(sizeof(Matrix) == 120, "the host writes 120 bytes");

// matrixOf finds the matrix that this block works on.
DEVICE Matrix matrixOf(const Matrix *matrices, u32 count, u32 Matrix::*first) {
  u32 which = 0;
  for (u32 i = 0; i < count; i += 32) {
    u32 k = i + (thread() & 31);
    which += __builtin_popcount(ballot(k < count && matrices[k].*first <= blockX()));
  }
  return matrices[which - 1];
}

// m = momentum m + g and u = g + momentum m; 1024 elements a block.
GLOBAL BLOCK(THREADS, 4) void muon_begin(const Matrix *matrices, u32 count, const u32 *flag) {
  if (flag && *flag) return;
  const Matrix p = matrixOf(matrices, count, &Matrix::begin);
  const u32 n = p.rows * p.columns, first = (blockX() - p.begin) * THREADS * EACH + thread();
  UNROLL for (u32 k = 0; k < EACH; k++) {
    u32 i = first + k * THREADS;
    if (i >= n) return;
    float g = p.g[i];
    _Pragma("unroll 8") for (u32 k = 1; k < p.parts; k++) g += p.g[(u64)k * p.stride + i];
    float m = p.momentum * p.m[i] + g;
    p.m[i] = m;
    p.u[0][i] = round(g + p.momentum * m);
  }
}

using Square = Tile<SIDE, SIDE, 64, 3, 2, 2, 2>;
constexpr int COPIES = SIDE * 8 / THREADS; // of a thread for a tile of 64 x 64

// copyTile copies 64 x 64 of a matrix of `columns`, zeros where it ends.
DEVICE void copyTile(u32 to, const bf16 *from, u32 row0, u32 column0, u32 rows, u32 columns) {
  UNROLL for (int k = 0; k < COPIES; k++) {
    u32 i = thread() + k * THREADS, row = row0 + i / 8, column = column0 + i % 8 * 8;
    bool keep = row < rows && column < columns;
    copyAsync(to + chunkAt<128>(i / 8, i % 8), from + (keep ? (u64)row * columns + column : 0), keep);
  }
}

DEVICE void clear(Product<Square> &p) {
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) UNROLL for (int k = 0; k < 4; k++) p.c[i][j][k] = 0;
}

// each calls f with the place in the tile of two neighbouring results and them.
template <typename F> DEVICE void each(const Product<Square> &p, F f) {
  const u32 lane = thread() & 31, warp = thread() >> 5, wm = warp % 2 * 32, wn = warp / 2 * 32;
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) UNROLL for (int h = 0; h < 2; h++)
      f(wm + i * 16 + h * 8 + (lane >> 2), wn + j * 8 + (lane & 3) * 2, p.c[i][j][2 * h], p.c[i][j][2 * h + 1]);
}

// A = X^T X over a part of the rows. from says which u is X.
GLOBAL BLOCK(THREADS, 2) void muon_gram(const Matrix *matrices, u32 count, const u32 *flag, u32 from) {
  SHARED __attribute__((aligned(128))) static char memory[3 * 2 * SIDE * 128];
  if (flag && *flag) return;
  const Matrix p = matrixOf(matrices, count, &Matrix::gram);
  const u32 smem = sharedAddress(memory), across = (p.columns + SIDE - 1) / SIDE;
  const u32 tile = (blockX() - p.gram) / p.aParts, part = (blockX() - p.gram) % p.aParts;
  const u32 top = tile / across * SIDE, left = tile % across * SIDE;
  const u32 all = (p.rows + SIDE - 1) / SIDE, begin = all * part / p.aParts, end = all * (part + 1) / p.aParts;
  const bf16 *x = from ? p.u[1] : p.u[0];

  auto copy = [&](u32 step) {
    if (begin + step < end) {
      u32 to = smem + step % 3 * 2 * SIDE * 128;
      copyTile(to, x, (begin + step) * SIDE, top, p.rows, p.columns);
      copyTile(to + SIDE * 128, x, (begin + step) * SIDE, left, p.rows, p.columns);
    }
    commitCopies();
  };
  copy(0);
  copy(1);
  Product<Square> c;
  clear(c);
  const u32 lane = thread() & 31, warp = thread() >> 5;
  const u32 aRow = (lane >> 4) * 8 + (lane & 7), aChunk = warp % 2 * 4 + (lane >> 3 & 1);
  const u32 bRow = lane & 15, bChunk = warp / 2 * 4 + (lane >> 4);
  for (u32 step = 0; begin + step < end; step++) {
    waitCopies<1>();
    barrier();
    copy(step + 2);
    const u32 a = smem + step % 3 * 2 * SIDE * 128, b = a + SIDE * 128;
    UNROLL for (int k = 0; k < 4; k++) {
      Matrices fa[2], fb[2];
      UNROLL for (int i = 0; i < 2; i++) fa[i] = ldmatrixTrans(sharedAt(a + chunkAt<128>(aRow + k * 16, aChunk + i * 2)));
      UNROLL for (int j = 0; j < 2; j++) fb[j] = ldmatrixTrans(sharedAt(b + chunkAt<128>(bRow + k * 16, bChunk + j * 2)));
      UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) multiply(c.c[i][j], fa[i].r, fb[j / 2].r[j % 2 * 2], fb[j / 2].r[j % 2 * 2 + 1]);
    }
  }
  waitCopies<0>();
  float *to = p.a + (u64)part * p.columns * p.columns;
  each(c, [&](u32 row, u32 column, float v, float w) {
    if (top + row < p.columns && left + column < p.columns) *(float2 *)(to + (u64)(top + row) * p.columns + left + column) = {v, w};
  });
}

// b A + c A^2. A is symmetric, so that its column is the other operand's row:
// both are 64 rows of A, whole, in shared memory: 256 bytes a column of it.
// With first A is divided by |u|^2, the sum of its diagonal.
GLOBAL BLOCK(THREADS, 2) void muon_poly(const Matrix *matrices, u32 count, const u32 *flag, u32 first) {
  extern SHARED __attribute__((aligned(128))) char memory[];
  SHARED static float sums[THREADS / 32];
  if (flag && *flag) return;
  const Matrix p = matrixOf(matrices, count, &Matrix::poly);
  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  const u32 smem = sharedAddress(memory), n = p.columns, across = (n + SIDE - 1) / SIDE, tile = blockX() - p.poly;
  const u32 top = tile / across * SIDE, left = tile % across * SIDE;

  float scale = 1;
  if (first) {
    float s = 0;
    for (u32 i = t; i < n * p.aParts; i += THREADS) s += p.a[(u64)(i / n) * n * n + (u64)(i % n) * (n + 1)];
    UNROLL for (int k = 16; k > 0; k /= 2) s += shuffle(s, k);
    if (lane == 0) sums[warp] = s;
    barrier();
    s = sums[0] + sums[1] + sums[2] + sums[3];
    scale = divide(1, s > LEAST ? s : LEAST);
  }
  if (tile == 0 && t == 0) *p.scale = root(scale);

  // Tiles of 64 x 64 behind each other: those of the rows at top, then at left.
  for (u32 i = t; i < 2 * across * SIDE * 8; i += THREADS) {
    u32 chunk = i % 8, row = i / 8 % SIDE, k = i / 8 / SIDE % across, which = i / 8 / SIDE / across;
    u32 at = (which ? left : top) + row, column = k * SIDE + chunk * 8;
    uint4 v = 0;
    if (at < n && column < n) {
      float4 low = 0, high = 0;
      const float *a = p.a + (u64)at * n + column;
      for (u32 part = 0; part < p.aParts; part++, a += (u64)n * n) low += *(const float4 *)a, high += *(const float4 *)(a + 4);
      low *= scale, high *= scale;
      v = uint4{pack(low.x, low.y), pack(low.z, low.w), pack(high.x, high.y), pack(high.z, high.w)};
    }
    storeShared(smem + (which * across + k) * SIDE * 128 + chunkAt<128>(row, chunk), v);
  }
  barrier();

  Product<Square> c;
  clear(c);
  const u32 aRow = warp % 2 * 32 + (lane & 15), aChunk = lane >> 4;
  const u32 bRow = warp / 2 * 32 + (lane >> 4) * 8 + (lane & 7), bChunk = lane >> 3 & 1;
  for (u32 tiles = 0; tiles < across; tiles++) {
    const u32 a = smem + tiles * SIDE * 128, b = a + across * SIDE * 128;
    UNROLL for (int k = 0; k < 4; k++) {
      Matrices fa[2], fb[2];
      UNROLL for (int i = 0; i < 2; i++) fa[i] = ldmatrix(sharedAt(a + chunkAt<128>(aRow + i * 16, aChunk + k * 2)));
      UNROLL for (int j = 0; j < 2; j++) fb[j] = ldmatrix(sharedAt(b + chunkAt<128>(bRow + j * 16, bChunk + k * 2)));
      UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) multiply(c.c[i][j], fa[i].r, fb[j / 2].r[j % 2 * 2], fb[j / 2].r[j % 2 * 2 + 1]);
    }
  }
  each(c, [&](u32 row, u32 column, float v, float w) {
    if (top + row >= n || left + column >= n) return;
    u64 at = (u64)(top + row) * n + left + column;
    float2 a = 0;
    for (u32 part = 0; part < p.aParts; part++) a += *(const float2 *)(p.a + (u64)part * n * n + at);
    a *= scale;
    *(u32 *)(p.b + at) = pack(COEFFICIENT_B * a.x + COEFFICIENT_C * v, COEFFICIENT_B * a.y + COEFFICIENT_C * w);
  });
}

// The next X = scale (a X + X (b A + c A^2)), and with last the parameters:
// x = (1 - lr decay) x - lr rate X.
GLOBAL BLOCK(THREADS, 2) void muon_apply(const Matrix *matrices, u32 count, const Step *step, const u32 *flag, u32 from, u32 last) {
  SHARED __attribute__((aligned(128))) static char memory[3 * 2 * SIDE * 128];
  if (flag && *flag) return;
  const Matrix p = matrixOf(matrices, count, &Matrix::apply);
  const u32 smem = sharedAddress(memory), n = p.columns, across = (n + SIDE - 1) / SIDE, tile = blockX() - p.apply;
  const u32 top = tile / across * SIDE, left = tile % across * SIDE;
  const bf16 *x = from ? p.u[1] : p.u[0];
  bf16 *next = from ? p.u[0] : p.u[1];

  auto copy = [&](u32 k) {
    if (k < across) {
      u32 to = smem + k % 3 * 2 * SIDE * 128;
      copyTile(to, x, top, k * SIDE, p.rows, n);
      copyTile(to + SIDE * 128, p.b, k * SIDE, left, n, n);
    }
    commitCopies();
  };
  copy(0);
  copy(1);
  Product<Square> c;
  clear(c);
  const u32 lane = thread() & 31, warp = thread() >> 5;
  const u32 aRow = warp % 2 * 32 + (lane & 15), aChunk = lane >> 4;
  const u32 bRow = lane & 15, bChunk = warp / 2 * 4 + (lane >> 4);
  for (u32 t = 0; t < across; t++) {
    waitCopies<1>();
    barrier();
    copy(t + 2);
    const u32 a = smem + t % 3 * 2 * SIDE * 128, b = a + SIDE * 128;
    UNROLL for (int k = 0; k < 4; k++) {
      Matrices fa[2], fb[2];
      UNROLL for (int i = 0; i < 2; i++) fa[i] = ldmatrix(sharedAt(a + chunkAt<128>(aRow + i * 16, aChunk + k * 2)));
      UNROLL for (int j = 0; j < 2; j++) fb[j] = ldmatrixTrans(sharedAt(b + chunkAt<128>(bRow + k * 16, bChunk + j * 2)));
      UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 4; j++) multiply(c.c[i][j], fa[i].r, fb[j / 2].r[j % 2 * 2], fb[j / 2].r[j % 2 * 2 + 1]);
    }
  }
  waitCopies<0>();
  const float scale = *p.scale, lr = step->lr, rate = lr * p.rate, shrink = 1 - lr * p.decay;
  each(c, [&](u32 row, u32 column, float v, float w) {
    if (top + row >= p.rows || left + column >= n) return;
    u64 at = (u64)(top + row) * n + left + column;
    u32 old = *(const u32 *)(x + at);
    v = scale * (COEFFICIENT_A * lower(old) + v);
    w = scale * (COEFFICIENT_A * upper(old) + w);
    if (!last) {
      *(u32 *)(next + at) = pack(v, w);
      return;
    }
    float2 to = *(const float2 *)(p.x + at);
    to = {shrink * to.x - rate * v, shrink * to.y - rate * w};
    *(float2 *)(p.x + at) = to;
    if (p.copy) *(u32 *)(p.copy + at) = pack(to.x, to.y);
  });
}
