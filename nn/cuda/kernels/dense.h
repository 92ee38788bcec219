// What the kernels of the network's end share: dropout's mask, the exponential,
// and the step's figures.
#pragma once
#include "dev.h"

DEVICE u64 mix(u64 z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

// keep tells whether dropout keeps feature i of a row with this key: the mask of
// package kernel, to the bit.
DEVICE bool keep(u64 key, u32 i, u32 threshold) {
  u32 h = i ^ (u32)key;
  h = (h ^ h >> 16) * 0x7feb352d;
  h += (u32)(key >> 32);
  h = (h ^ h >> 15) * 0x846ca68b;
  h ^= h >> 16;
  return h >> 8 >= threshold;
}
DEVICE u64 rowKey(const Step *step, u32 row) { return mix(step->dropout + mix((u64)row + 1)); }

// masked drops or scales the two features from i on.
DEVICE u32 masked(u32 v, u64 key, u32 i, u32 threshold, float scale) {
  return pack(keep(key, i, threshold) ? lower(v) * scale : 0, keep(key, i + 1, threshold) ? upper(v) * scale : 0);
}

constexpr int OUTPUTS = 10; // that a block sums at once

// exponential is e^v to two units in the last place: 2^(v log2 e), the product
// in two parts.
DEVICE float exponential(float v) {
  v = v < -104 ? -104 : v; // 0 in float32; of infinities no difference may be taken
  constexpr float LOG2E = 1.44269504f, REST = 1.92596299e-8f;
  float whole = __nvvm_floor_f(v * LOG2E + 0.5f);
  float part = __builtin_fmaf(v, REST, __builtin_fmaf(v, LOG2E, -whole));
  return __nvvm_ex2_approx_f(part) * __nvvm_ex2_approx_f(whole);
}
DEVICE float logarithm(float v) { return __nvvm_lg2_approx_f(v) * 0.693147181f; }

// tell writes a step's figures to wherever they are wanted; any of the places may
// be null. The flag is set by a loss that is not finite, and cleared by the host.
DEVICE void tell(double sum, u32 correct, float *loss, Result *results, Result *total, u32 *flag, const Step *step) {
  const u32 rows = step->rows;
  const bool finite = __builtin_fabs(sum) <= 3.4e38;
  if (loss) *loss = (float)(sum / rows);
  if (flag && !finite) *flag = 1;
  if (total) {
    total->loss += sum;
    total->correct += correct;
    total->rows += rows;
    total->finite = finite && total->finite;
  }
  if (results) {
    volatile Result *to = results + step->slot;
    to->loss = sum;
    to->correct = correct;
    to->rows = rows;
    to->finite = finite;
    __nvvm_membar_sys();
    to->sequence = step->sequence;
  }
}
