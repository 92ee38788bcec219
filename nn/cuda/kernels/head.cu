// The end of the network in one kernel, for a training step: dropout, the dense
// layer, the loss, and their gradients back to the last convolution, whose pool's
// gradient it spreads. It gives the same bits as dropout_fwd, dense_fwd,
// loss_forward, loss_backward, dense_bwd_data, dropout_bwd and spread one after
// the other; left to do is dense_bwd_filter.
#include "dense.h"

constexpr u32 THREADS = 256;

// Part is what a row adds to the step's figures.
struct Part {
  double loss;
  u32 correct, zero;
};

// Pointers and numbers of the kernel below, by their names there.
struct Head {
  bf16 *gradient, *dropped;
  float *dlogits, *prob;
  const bf16 *src;
  const u8 *arg;
  const float *w, *bias;
  const i32 *labels;
  Part *parts;
  u32 *counter;
  u32 lh, lw, channels, out, threshold;
  float scale, smoothing;
};

// row0 is the first of ROWS rows, in the features of a row. Where only some of
// the rows are valid, the others are computed from zeros and not written.
template <int ROWS> struct Rows {
  static constexpr int SUMS = ROWS * OUTPUTS;
  float (*memory)[SUMS]; // a sum of each warp
  float *logits, *gradients;
  const Head &h;
  const Step *step;
  u32 row0, rows, in;
  u64 key[ROWS];

  // dense drops features, and sums the logits over the rest.
  DEVICE void dense() {
    const u32 t = thread(), lane = t & 31, warp = t >> 5;
    float sum[ROWS][OUTPUTS] = {};
    for (u32 i = t * 8; i < in; i += THREADS * 8) {
      uint4 v[ROWS];
      UNROLL for (int r = 0; r < ROWS; r++) {
        v[r] = 0;
        if (row0 + r >= rows) continue;
        const u64 at = (u64)(row0 + r) * in + i;
        uint4 s = *(const uint4 *)(h.src + at);
        UNROLL for (int k = 0; k < 4; k++) v[r][k] = masked(s[k], key[r], i + 2 * k, h.threshold, h.scale);
        *(uint4 *)(h.dropped + at) = v[r];
      }
      UNROLL for (u32 o = 0; o < OUTPUTS; o++) {
        const float *at = h.w + (u64)(o < h.out ? o : 0) * in + i;
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
    if (t < SUMS) {
      float s = h.bias[t % OUTPUTS < h.out ? t % OUTPUTS : 0];
      UNROLL for (u32 k = 0; k < THREADS / 32; k++) s += memory[k][t];
      logits[t] = s;
    }
    barrier();
  }

  // loss is the cross-entropy of one row, and its gradient by the logits.
  DEVICE double loss(u32 r, float each, u32 &correct) {
    const float *in = logits + r * OUTPUTS;
    const u32 row = row0 + r, label = h.labels[row];
    float best = in[0];
    u32 at = 0;
    UNROLL for (u32 c = 1; c < OUTPUTS; c++)
      if (c < h.out && in[c] > best) best = in[c], at = c;
    float e = 0, mean = 0, x[OUTPUTS];
    UNROLL for (u32 c = 0; c < OUTPUTS; c++) {
      if (c >= h.out) continue;
      x[c] = exponential(in[c] - best);
      mean += in[c] - best;
      e += x[c];
    }
    const float scale = divide(1, e), own = in[label] - best, share = divide(h.smoothing, (float)h.out);
    UNROLL for (u32 c = 0; c < OUTPUTS; c++) {
      if (c >= h.out) continue;
      float p = x[c] * scale, target = share;
      if (c == label) target += 1 - h.smoothing;
      h.prob[(u64)row * h.out + c] = p;
      h.dlogits[(u64)row * h.out + c] = gradients[r * OUTPUTS + c] = (p - target) * each;
    }
    correct = at == label;
    double loss = (double)(logarithm(e) - own);
    if (h.smoothing > 0) loss += (double)(h.smoothing * (own - divide(mean, (float)h.out)));
    return loss;
  }

  // back takes the gradient through the dense layer, dropout, ReLU and pool.
  DEVICE void back() {
    for (u32 i = thread() * 8; i < in; i += THREADS * 8) {
      float sum[ROWS][8] = {};
      for (u32 o = 0; o < h.out; o++) {
        const float *at = h.w + (u64)o * in + i;
        float4 a = *(const float4 *)at, b = *(const float4 *)(at + 4);
        UNROLL for (int r = 0; r < ROWS; r++) {
          float g = gradients[r * OUTPUTS + o];
          UNROLL for (int k = 0; k < 4; k++) {
            sum[r][k] = __builtin_fmaf(g, a[k], sum[r][k]);
            sum[r][4 + k] = __builtin_fmaf(g, b[k], sum[r][4 + k]);
          }
        }
      }
      UNROLL for (int r = 0; r < ROWS; r++) {
        if (row0 + r >= rows) continue;
        const u64 at = (u64)(row0 + r) * in + i;
        uint4 s = *(const uint4 *)(h.src + at), v;
        UNROLL for (int k = 0; k < 4; k++)
          v[k] = masked(pack(sum[r][2 * k], sum[r][2 * k + 1]), key[r], i + 2 * k, h.threshold, h.scale) & nonzero(s[k]);
        if (h.arg) spread(v, row0 + r, i, *(const uint2 *)(h.arg + at));
        else *(uint4 *)(h.gradient + at) = v;
      }
    }
  }

  // spread writes the four pixels of a window.
  DEVICE void spread(uint4 v, u32 row, u32 i, uint2 places) {
    const u32 channel = i % h.channels, p = i / h.channels, w = 1u << h.lw;
    const u32 y = p >> (h.lw - 1), x = p & (w / 2 - 1);
    bf16 *to = h.gradient + (((u64)row << (h.lh + h.lw)) + 2 * y * w + 2 * x) * h.channels + channel;
    UNROLL for (u32 k = 0; k < 4; k++) {
      uint4 s;
      UNROLL for (int c = 0; c < 4; c++) {
        u32 a = places[c / 2] >> (c % 2 * 16);
        s[c] = v[c] & (((a & 255) == k ? 0xffffu : 0) | ((a >> 8 & 255) == k ? 0xffff0000u : 0));
      }
      *(uint4 *)(to + ((k >> 1) * w + (k & 1)) * h.channels) = s;
    }
  }
};

template <int ROWS> DEVICE void head(const Head &h, float *loss, Result *results, Result *total, u32 *flag, const Step *step, float lossScale) {
  constexpr u32 WARPS = THREADS / 32;
  SHARED static float memory[WARPS][ROWS * OUTPUTS], logits[ROWS * OUTPUTS], gradients[ROWS * OUTPUTS];
  SHARED static double sums[32];
  SHARED static u32 counts[32], last;
  const u32 t = thread(), lane = t & 31, warp = t >> 5;
  Rows<ROWS> r{memory, logits, gradients, h, step, blockX() * ROWS, step->rows, h.channels << (h.lh + h.lw - 2), {}};
  UNROLL for (int k = 0; k < ROWS; k++) r.key[k] = rowKey(step, r.row0 + k);
  if (t < ROWS * OUTPUTS) gradients[t] = 0; // of rows that are not valid
  barrier();
  if (r.row0 < r.rows) {
    r.dense();
    if (t < ROWS && r.row0 + t < r.rows) {
      u32 correct;
      h.parts[r.row0 + t].loss = r.loss(t, divide(lossScale, (float)r.rows), correct);
      h.parts[r.row0 + t].correct = correct;
      __nvvm_membar_gl();
    }
  }

  // A block tells that its rows are there before the last of the work; whichever
  // block comes last adds up all rows when it is done.
  barrier();
  if (t == 0) last = __nvvm_atom_add_gen_i((i32 *)h.counter, 1) == (i32)blocksX() - 1;
  if (r.row0 < r.rows) r.back();
  barrier();
  if (!last) return;
  __nvvm_membar_gl();
  // In loss_forward's order, of 32 warps with a row a thread.
  for (u32 w = warp; w < 32; w += WARPS) {
    double sum = 0;
    u32 correct = 0;
    for (u32 k = w * 32 + lane; k < r.rows; k += 1024) {
      const volatile Part *p = h.parts + k;
      sum += p->loss;
      correct += p->correct;
    }
    UNROLL for (u32 k = 16; k > 0; k /= 2) sum += shuffle(sum, k), correct += shuffle((i32)correct, k);
    if (lane == 0) sums[w] = sum, counts[w] = correct;
  }
  barrier();
  if (warp > 0) return;
  double sum = sums[lane];
  u32 correct = counts[lane];
  UNROLL for (u32 k = 16; k > 0; k /= 2) sum += shuffle(sum, k), correct += shuffle((i32)correct, k);
  if (lane > 0) return;
  *h.counter = 0;
  tell(sum, correct, loss, results, total, flag, step);
}

// gradient is at the full resolution lh, lw of the last convolution, or where arg
// is null at its pooled output; src is that output, channels * H/2 * W/2 features
// a row, and dropped what dropout leaves of it. parts has a place for each row,
// counter is 0 before and after. At most 10 classes.
#define HEAD(n)                                                                                                            \
  GLOBAL BLOCK(THREADS, 1) void head_r##n(bf16 *gradient, bf16 *dropped, float *dlogits, float *prob, const bf16 *src,     \
      const u8 *arg, const float *w, const float *bias, const i32 *labels, Part *parts, u32 *counter, float *loss,         \
      Result *results, Result *total, u32 *flag, const Step *step, u32 lh, u32 lw, u32 channels, u32 out, u32 threshold,   \
      float scale, float smoothing, float lossScale) {                                                                     \
    head<n>({gradient, dropped, dlogits, prob, src, arg, w, bias, labels, parts, counter, lh, lw, channels, out,           \
             threshold, scale, smoothing}, loss, results, total, flag, step, lossScale);                                   \
  }
HEAD(1)
HEAD(2)
HEAD(4)
