// Features on maps of another size: adaptive average pooling and its gradient, as
// nn/kernel/resample.go has them, to the same bits before they are rounded to
// bfloat16. Images are bf16 [N][H][W][C], C a multiple of 8.
#include "dev.h"

constexpr u32 THREADS = 256;

// Cells are the rows or columns of h, from first to end, that are averaged for
// place i of n; of n and h turned about, the places that i has a share in.
struct Cells {
  u32 first, end;
  DEVICE Cells(u32 i, u32 h, u32 n) : first(i * h / n), end(((i + 1) * h + n - 1) / n) {}
  DEVICE u32 count() const { return end - first; }
};

// Size is the height and width of images.
struct Size {
  u32 h, w;
};

// share is what each pixel counts in place (y, x) of images from, made images to.
DEVICE float share(u32 y, u32 x, Size from, Size to) {
  return divide(1, Cells(y, from.h, to.h).count() * Cells(x, from.w, to.w).count());
}

// add adds eight channels to a sum.
DEVICE void add(float (&sum)[8], uint4 v, float scale) {
  UNROLL for (u32 k = 0; k < 4; k++) {
    sum[2 * k] += lower(v[k]) * scale;
    sum[2 * k + 1] += upper(v[k]) * scale;
  }
}

// resample makes dst, images of toH x toW, from src, of h x w; a thread has eight
// channels of a pixel, a row of blocks an image.
GLOBAL BLOCK(THREADS, 4) void resample(bf16 *dst, const bf16 *src, const Step *step, u32 h, u32 w, u32 toH, u32 toW, u32 channels) {
  const u32 i = blockX() * THREADS + thread(), row = blockY(), groups = channels / 8;
  if (row >= step->rows || i >= toH * toW * groups) return;
  const u32 pixel = i / groups, y = pixel / toW, x = pixel % toW, channel = i % groups * 8;
  const Cells rows(y, h, toH), columns(x, w, toW);
  float sum[8] = {};
  for (u32 a = rows.first; a < rows.end; a++)
    for (u32 b = columns.first; b < columns.end; b++)
      add(sum, *(const uint4 *)(src + ((u64)(row * h + a) * w + b) * channels + channel), 1);
  const float part = share(y, x, {h, w}, {toH, toW});
  uint4 v;
  UNROLL for (u32 k = 0; k < 4; k++) v[k] = pack(sum[2 * k] * part, sum[2 * k + 1] * part);
  *(uint4 *)(dst + ((u64)row * toH * toW + pixel) * channels + channel) = v;
}

// resample_bwd makes dsrc, the gradient at src, from ddst, that at dst, where src is
// not 0, and 0 elsewhere. dsrc may be src.
GLOBAL BLOCK(THREADS, 4) void resample_bwd(bf16 *dsrc, const bf16 *ddst, const bf16 *src, const Step *step, u32 h, u32 w, u32 toH, u32 toW, u32 channels) {
  const u32 i = blockX() * THREADS + thread(), row = blockY(), groups = channels / 8;
  if (row >= step->rows || i >= h * w * groups) return;
  const u32 pixel = i / groups, channel = i % groups * 8;
  const Cells rows(pixel / w, toH, h), columns(pixel % w, toW, w);
  float sum[8] = {};
  for (u32 y = rows.first; y < rows.end; y++)
    for (u32 x = columns.first; x < columns.end; x++)
      add(sum, *(const uint4 *)(ddst + ((u64)(row * toH + y) * toW + x) * channels + channel), share(y, x, {h, w}, {toH, toW}));
  const u64 at = ((u64)row * h * w + pixel) * channels + channel;
  const uint4 alive = *(const uint4 *)(src + at);
  uint4 v;
  UNROLL for (u32 k = 0; k < 4; k++) v[k] = pack(sum[2 * k], sum[2 * k + 1]) & nonzero(alive[k]);
  *(uint4 *)(dsrc + at) = v;
}
