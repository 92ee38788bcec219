// The end of the network: dropout, the dense layer, the loss and its gradient.
// Features are bf16, logits, weights and sums float32.
#include "dense.h"

constexpr u32 THREADS = 256;

// dst = src with each feature dropped if its 24 random bits are below threshold,
// and multiplied by scale otherwise. A multiple of 8 features.
GLOBAL BLOCK(THREADS, 4) void dropout_fwd(bf16 *dst, const bf16 *src, const Step *step, u32 features, u32 threshold, float scale) {
  const u32 row = blockY(), i = (blockX() * THREADS + thread()) * 8;
  if (row >= step->rows || i >= features) return;
  const u64 key = rowKey(step, row), at = (u64)row * features + i;
  uint4 v = *(const uint4 *)(src + at);
  UNROLL for (int k = 0; k < 4; k++) v[k] = masked(v[k], key, i + 2 * k, threshold, scale);
  *(uint4 *)(dst + at) = v;
}

// Its gradient, which is also 0 where src is: that of the ReLU before. dsrc may
// be src.
GLOBAL BLOCK(THREADS, 4) void dropout_bwd(bf16 *dsrc, const bf16 *ddst, const bf16 *src, const Step *step, u32 features, u32 threshold, float scale) {
  const u32 row = blockY(), i = (blockX() * THREADS + thread()) * 8;
  if (row >= step->rows || i >= features) return;
  const u64 key = rowKey(step, row), at = (u64)row * features + i;
  uint4 g = *(const uint4 *)(ddst + at), v = *(const uint4 *)(src + at);
  UNROLL for (int k = 0; k < 4; k++) g[k] = masked(g[k], key, i + 2 * k, threshold, scale) & nonzero(v[k]);
  *(uint4 *)(dsrc + at) = g;
}

// y [rows][out] = x [rows][in] w^T + bias, w [out][in], ROWS rows a block. in is
// a multiple of 8.
template <int ROWS> DEVICE void dense(float *y, const bf16 *x, const float *w, const float *bias, const Step *step, u32 in, u32 out) {
  SHARED static float memory[THREADS / 32][ROWS * OUTPUTS];
  const u32 t = thread(), lane = t & 31, warp = t >> 5, row0 = blockX() * ROWS, rows = step->rows;
  if (row0 >= rows) return;
  for (u32 o0 = 0; o0 < out; o0 += OUTPUTS) {
    float sum[ROWS][OUTPUTS] = {};
    for (u32 i = t * 8; i < in; i += THREADS * 8) {
      uint4 v[ROWS];
      UNROLL for (int r = 0; r < ROWS; r++) v[r] = row0 + r < rows ? *(const uint4 *)(x + (u64)(row0 + r) * in + i) : uint4(0);
      UNROLL for (int o = 0; o < OUTPUTS; o++) {
        const float *at = w + (u64)(o0 + o < out ? o0 + o : 0) * in + i;
        float4 a = *(const float4 *)at, b = *(const float4 *)(at + 4);
        UNROLL for (int r = 0; r < ROWS; r++) {
          float s = sum[r][o];
          s = __builtin_fmaf(lower(v[r].x), a.x, s), s = __builtin_fmaf(upper(v[r].x), a.y, s);
          s = __builtin_fmaf(lower(v[r].y), a.z, s), s = __builtin_fmaf(upper(v[r].y), a.w, s);
          s = __builtin_fmaf(lower(v[r].z), b.x, s), s = __builtin_fmaf(upper(v[r].z), b.y, s);
          s = __builtin_fmaf(lower(v[r].w), b.z, s), s = __builtin_fmaf(upper(v[r].w), b.w, s);
          sum[r][o] = s;
        }
      }
    }
    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int o = 0; o < OUTPUTS; o++) {
      float s = sum[r][o];
      UNROLL for (int k = 16; k > 0; k /= 2) s += shuffle(s, k);
      if (lane == 0) memory[warp][r * OUTPUTS + o] = s;
    }
    barrier();
    u32 r = t / OUTPUTS, o = o0 + t % OUTPUTS;
    if (t < ROWS * OUTPUTS && row0 + r < rows && o < out) {
      float s = bias[o];
      UNROLL for (u32 k = 0; k < THREADS / 32; k++) s += memory[k][t];
      y[(u64)(row0 + r) * out + o] = s;
    }
    barrier();
  }
}
#define DENSE(r)                                                                                                           \
  GLOBAL BLOCK(THREADS, 1) void dense_fwd_r##r(float *y, const bf16 *x, const float *w, const float *bias,                 \
      const Step *step, u32 in, u32 out) {                                                                                 \
    dense<r>(y, x, w, bias, step, in, out);                                                                                \
  }
DENSE(1)
DENSE(4)

// dx [rows][in] = dy [rows][out] w, 8 rows by 1024 features a block.
GLOBAL BLOCK(128, 4) void dense_bwd_data(bf16 *dx, const float *dy, const float *w, const Step *step, u32 in, u32 out) {
  constexpr u32 ROWS = 8;
  const u32 i = (blockX() * 128 + thread()) * 8, row0 = blockY() * ROWS, rows = step->rows;
  if (i >= in || row0 >= rows) return;
  float sum[ROWS][8] = {};
  for (u32 o = 0; o < out; o++) {
    const float *at = w + (u64)o * in + i;
    float4 a = *(const float4 *)at, b = *(const float4 *)(at + 4);
    UNROLL for (u32 r = 0; r < ROWS; r++) {
      float g = row0 + r < rows ? dy[(u64)(row0 + r) * out + o] : 0;
      UNROLL for (int k = 0; k < 4; k++) {
        sum[r][k] = __builtin_fmaf(g, a[k], sum[r][k]);
        sum[r][4 + k] = __builtin_fmaf(g, b[k], sum[r][4 + k]);
      }
    }
  }
  UNROLL for (u32 r = 0; r < ROWS; r++)
    if (row0 + r < rows) {
      uint4 v;
      UNROLL for (int k = 0; k < 4; k++) v[k] = pack(sum[r][2 * k], sum[r][2 * k + 1]);
      *(uint4 *)(dx + (u64)(row0 + r) * in + i) = v;
    }
}

// dw [out][in] = dy^T x and db [out] = the sum of dy over the rows: 64 features
// by up to 10 outputs a block, its warps every 16th row each.
GLOBAL BLOCK(512, 1) void dense_bwd_filter(float *dw, float *db, const bf16 *x, const float *dy, const Step *step, u32 in, u32 out) {
  constexpr u32 WARPS = 16, FEATURES = 64;
  SHARED static float memory[WARPS][OUTPUTS][FEATURES], biases[WARPS][OUTPUTS];
  const u32 t = thread(), lane = t & 31, warp = t >> 5, rows = step->rows;
  const u32 i = blockX() * FEATURES + lane * 2, o0 = blockY() * OUTPUTS;
  const u32 left = out - o0 < OUTPUTS ? out - o0 : OUTPUTS;
  float sum[OUTPUTS][2] = {}, bias = 0;
  constexpr u32 AHEAD = 8; // rows under way at once
  for (u32 r0 = warp; r0 < rows; r0 += WARPS * AHEAD) {
    u32 v[AHEAD];
    float g[AHEAD]; // a lane reads one output's gradient and hands it round
    UNROLL for (u32 k = 0; k < AHEAD; k++) {
      u32 r = r0 + k * WARPS;
      v[k] = r < rows ? *(const u32 *)(x + (u64)r * in + i) : 0;
      g[k] = r < rows && lane < left ? dy[(u64)r * out + o0 + lane] : 0;
    }
    UNROLL for (u32 k = 0; k < AHEAD; k++) {
      bias += g[k];
      UNROLL for (u32 o = 0; o < OUTPUTS; o++) {
        float d = broadcast(g[k], o);
        sum[o][0] = __builtin_fmaf(d, lower(v[k]), sum[o][0]);
        sum[o][1] = __builtin_fmaf(d, upper(v[k]), sum[o][1]);
      }
    }
  }
  UNROLL for (u32 o = 0; o < OUTPUTS; o++) {
    memory[warp][o][lane * 2] = sum[o][0];
    memory[warp][o][lane * 2 + 1] = sum[o][1];
  }
  if (lane < OUTPUTS) biases[warp][lane] = bias;
  barrier();
  for (u32 k = t; k < left * FEATURES; k += 512) {
    float s = 0;
    UNROLL for (u32 l = 0; l < WARPS; l++) s += memory[l][k / FEATURES][k % FEATURES];
    dw[(u64)(o0 + k / FEATURES) * in + blockX() * FEATURES + k % FEATURES] = s;
  }
  if (blockX() == 0 && t < left) {
    float s = 0;
    UNROLL for (u32 l = 0; l < WARPS; l++) s += biases[l][t];
    db[o0 + t] = s;
  }
}

// loss_forward writes prob, the softmax of each row of logits [rows][classes],
// the mean of the cross-entropies, -log prob[label], to loss, and 1 to flag if
// that is not finite. The step's figures go to its place in results, which the
// host reads while the device runs on, and are added to total. With smoothing the label has 1-smoothing of its class and shares the
// rest among all classes evenly. Any of loss, flag, results and total may be
// null. A row counts as correct if its label has the largest logit, the first of
// equal ones. One block, a thread a row, sums in a fixed order.
GLOBAL BLOCK(1024, 1) void loss_forward(float *prob, const float *logits, const i32 *labels, float *loss, Result *results, Result *total, u32 *flag, const Step *step, u32 classes, float smoothing) {
  SHARED static double losses[32];
  SHARED static u32 corrects[32];
  const u32 t = thread(), lane = t & 31, warp = t >> 5, rows = step->rows;
  double sum = 0;
  u32 correct = 0;
  for (u32 r = t; r < rows; r += 1024) {
    const float *in = logits + (u64)r * classes;
    float *out = prob + (u64)r * classes;
    const u32 label = labels[r];
    // With a NaN among them it does not matter which is the largest: the sum is
    // one then.
    float best = in[0];
    u32 at = 0;
    _Pragma("unroll 10") for (u32 c = 1; c < classes; c++) {
      float v = in[c];
      if (v > best) best = v, at = c;
    }
    float e = 0, mean = 0; // mean is less the largest, too
    _Pragma("unroll 10") for (u32 c = 0; c < classes; c++) {
      float v = in[c] - best, x = exponential(v);
      mean += v;
      e += x;
      out[c] = x;
    }
    const float scale = divide(1, e), own = in[label] - best;
    _Pragma("unroll 10") for (u32 c = 0; c < classes; c++) out[c] *= scale;
    sum += (double)(logarithm(e) - own);
    if (smoothing > 0) sum += (double)(smoothing * (own - divide(mean, (float)classes)));
    correct += at == label;
  }
  UNROLL for (u32 k = 16; k > 0; k /= 2) sum += shuffle(sum, k), correct += shuffle((i32)correct, k);
  if (lane == 0) losses[warp] = sum, corrects[warp] = correct;
  barrier();
  if (warp > 0) return;
  sum = losses[lane], correct = corrects[lane];
  UNROLL for (u32 k = 16; k > 0; k /= 2) sum += shuffle(sum, k), correct += shuffle((i32)correct, k);
  if (lane > 0) return;
  tell(sum, correct, loss, results, total, flag, step);
}

// dlogits = (prob - the label's, smoothed) * scale / rows.
GLOBAL BLOCK(THREADS, 4) void loss_backward(float *dlogits, const float *prob, const i32 *labels, const Step *step, u32 classes, float smoothing, float scale) {
  const u32 i = blockX() * THREADS + thread(), r = i / classes, rows = step->rows;
  if (r >= rows) return;
  const float each = divide(scale, (float)rows);
  float target = divide(smoothing, (float)classes);
  if (i % classes == (u32)labels[r]) target += 1 - smoothing;
  dlogits[i] = (prob[i] - target) * each;
}
