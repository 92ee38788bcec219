// The optimisers: package kernel's formulas, operation by operation, so that
// from the same gradients they give the same bits as the processor. They write
// the bf16 copy of a weight that the convolutions multiply with, and do nothing
// when the step's loss was not finite.
//
// One launch serves all parameters: a table says where each lies, and each
// block takes 1024 elements of one of them. A gradient may come in parts, which
// are added here in their order.
#include "dev.h"

constexpr u32 THREADS = 256, EACH = 4;

// Tensor is one parameter in the table that the host writes.
struct Tensor {
  float *x;       // the parameter
  const float *g; // its gradient: the sum of g[k * stride + i] over parts
  float *s0, *s1; // the optimiser's state, null where there is none
  bf16 *copy;     // rounded copy of x, or null
  u32 n;
  u32 parts;      // 1 or more
  u32 stride;
  u32 block;      // number of the first of its ceil(n/1024) blocks
  float rate;     // factor of the step's learning rate
  float momentum; // of sgd
  float decay;    // of sgd and adam
  u32 zero;
  u64 zero2;
};
static_assert(sizeof(Tensor) == 80, "the host writes 80 bytes");

DEVICE float gradient(const Tensor &p, u32 i) {
  float g = p.g[i];
  _Pragma("unroll 8") for (u32 k = 1; k < p.parts; k++) g += p.g[(u64)k * p.stride + i];
  return g;
}

// tensorOf finds the parameter that this block works on.
DEVICE Tensor tensorOf(const Tensor *tensors, u32 count) {
  u32 which = 0; // the last that begins at this block or before
  for (u32 i = 0; i < count; i += 32) {
    u32 k = i + (thread() & 31);
    which += __builtin_popcount(ballot(k < count && tensors[k].block <= blockX()));
  }
  return tensors[which - 1];
}

// each calls f with the place of every element of this block.
template <typename F> DEVICE void each(const Tensor &p, F f) {
  const u32 first = (blockX() - p.block) * THREADS * EACH + thread();
  UNROLL for (u32 k = 0; k < EACH; k++) {
    u32 i = first + k * THREADS;
    if (i < p.n) f(i);
  }
}

DEVICE void write(const Tensor &p, u32 i, float x) {
  p.x[i] = x;
  if (p.copy) p.copy[i] = round(x);
}

GLOBAL BLOCK(THREADS, 4) void adadelta(const Tensor *tensors, u32 count, const Step *step, const u32 *flag, float rho, float eps) {
  if (flag && *flag) return;
  const Tensor p = tensorOf(tensors, count);
  const float lr = step->lr * p.rate, rest = 1 - rho;
  each(p, [&](u32 i) {
    float g = gradient(p, i), x = p.x[i], d2 = p.s1[i], e = rho * p.s0[i] + rest * g * g;
    float d = g * root(divide(d2 + eps, e + eps));
    p.s0[i] = e;
    p.s1[i] = rho * d2 + rest * d * d;
    write(p, i, x - lr * d);
  });
}

// Nesterov's momentum; a parameter without state has none. decoupled makes it
// SGDW, whose decay does not pass through the momentum.
GLOBAL BLOCK(THREADS, 4) void sgd(const Tensor *tensors, u32 count, const Step *step, const u32 *flag, u32 decoupled) {
  if (flag && *flag) return;
  const Tensor p = tensorOf(tensors, count);
  const float lr = step->lr * p.rate, momentum = p.momentum;
  const float shrink = decoupled ? 1 - lr * p.decay : 1, decay = decoupled ? 0 : p.decay;
  each(p, [&](u32 i) {
    float x = p.x[i] * shrink, g = gradient(p, i) + decay * x;
    if (p.s0) {
      float m = momentum * p.s0[i] + g;
      p.s0[i] = m;
      g += momentum * m;
    }
    write(p, i, x - lr * g);
  });
}

// Adam, and with decoupled AdamW.
GLOBAL BLOCK(THREADS, 4) void adam(const Tensor *tensors, u32 count, const Step *step, const u32 *flag, float beta1, float beta2, float eps, u32 decoupled) {
  if (flag && *flag) return;
  const Tensor p = tensorOf(tensors, count);
  const float lr = step->lr * p.rate, rest1 = 1 - beta1, rest2 = 1 - beta2;
  const float rate = divide(lr, step->bias1), scale = divide(1, root(step->bias2));
  const float shrink = decoupled ? 1 - lr * p.decay : 1, decay = decoupled ? 0 : p.decay;
  each(p, [&](u32 i) {
    float x = p.x[i], g = gradient(p, i) + decay * x;
    float m = beta1 * p.s0[i] + rest1 * g, v = beta2 * p.s1[i] + rest2 * g * g;
    p.s0[i] = m;
    p.s1[i] = v;
    write(p, i, shrink * x - rate * divide(m, root(v) * scale + eps));
  });
}

// average moves the moving averages x of other weights g towards them: x +=
// part (g - x).
GLOBAL BLOCK(THREADS, 4) void average(const Tensor *tensors, u32 count, const u32 *flag, float part) {
  if (flag && *flag) return;
  const Tensor p = tensorOf(tensors, count);
  each(p, [&](u32 i) {
    float x = p.x[i];
    write(p, i, x + part * (p.g[i] - x));
  });
}
