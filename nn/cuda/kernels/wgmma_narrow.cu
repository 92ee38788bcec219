// 3x3 convolutions on Hopper's wgmma whose sum is over 64 channels: the first
// layers, whose tiles are many and short. See wgmma_conv.h for how the product
// lies.
//
// A block keeps the weights of 64 of the result's channels, 72 KB, for as long as
// it runs; its two multiplying warpgroups work on tiles of their own, so that one
// multiplies while the other stores. They take pairs of neighbouring tiles, and
// one ring brings the activations of both in turns.
//
// grid: a multiple of the result's channels / 64, at most the multiprocessors.
// Tensor maps as in wgmma_conv.cu, for MW = 1.
#include "wgmma_conv.h"

// The slots serve the warpgroups by turns, also where there is an odd number of
// them. But a parity tells only one phase from the one before, and the one before
// must be of the same warpgroup, which has seen its end: so a slot has two full
// barriers, and a round of the ring is twice its slots.
template <typename S, int AS> struct Memory {
  u32 acts, taps, outs, extras, actFull, actFree, tapFull, maskFull;
  DEVICE Memory(u32 base) {
    taps = base, acts = taps + 9 * 8192, outs = acts + AS * S::ACT, extras = outs + 2 * S::OUT;
    actFull = extras + 2 * S::EXTRA, actFree = actFull + 2 * AS * 8, tapFull = actFree + AS * 8;
    maskFull = tapFull + 9 * 8;
  }
  DEVICE void init() {
    for (int i = 0; i < 2 * AS; i++) barrierInit(actFull + i * 8, 1);
    for (int i = 0; i < AS; i++) barrierInit(actFree + i * 8, 4);
    for (int i = 0; i < 9; i++) barrierInit(tapFull + i * 8, 1);
    for (int i = 0; i < 2; i++) barrierInit(maskFull + i * 8, 1);
    barrierInitDone();
  }
  DEVICE static u32 slot(const Cursor<2 * AS> &at) { return at.slot < AS ? at.slot : at.slot - AS; }
};

// Walk is the way of a block through its pairs of tiles, all of the same channels.
struct Walk {
  u32 across, m, first, stride, pairs;
  template <typename S> DEVICE static Walk of(u32 images, u32 channels) {
    Walk w;
    w.across = channels / 64, w.m = blockX() % w.across, w.first = blockX() / w.across, w.stride = blocksX() / w.across;
    w.pairs = (Tile<S>::count(images, 1) + 1) / 2;
    return w;
  }
  template <typename S> DEVICE Tile<S> tile(u32 pair, u32 group) const { return Tile<S>((2 * pair + group) * across + m, across); }
};

template <typename S, int AS> DEVICE void fetchActivations(const Memory<S, AS> &r, const void *act, const Walk &walk) {
  Cursor<2 * AS> at;
  for (u32 p = walk.first; p < walk.pairs; p += walk.stride)
    for (int s = 0; s < 3; s++)
      for (u32 g = 0; g < 2; g++) { // beyond the last tile there are zeros
        Tile<S> t = walk.tile<S>(p, g);
        await(r.actFree + r.slot(at) * 8, at.slot < AS);
        arriveExpecting(r.actFull + at.slot * 8, S::ACT);
        loadBox(r.acts + r.slot(at) * S::ACT, act, r.actFull + at.slot * 8, 0, s - 1, t.image, t.y - 1);
        at.next();
      }
}

template <typename S, int AS> DEVICE void fetchWeights(const Memory<S, AS> &r, const void *w, const Walk &walk, u32 sumChannels, u32 channels) {
  for (int tap = 0; tap < 9; tap++) {
    arriveExpecting(r.tapFull + tap * 8, 8192);
    loadTap<S::PASS>(r.taps + tap * 8192, w, r.tapFull + tap * 8, tap, 0, walk.m * 64, sumChannels, channels);
  }
}

// narrow is the kernel.
template <typename S, int AS>
DEVICE void narrow(const void *act, const void *w, const void *result, const float *bias, u8 *arg, const void *x, const Step *step, u32 sumChannels, u32 channels) {
  extern SHARED char memory[];
  Memory<S, AS> r((sharedAddress(memory) + 1023) & ~1023u);
  u32 warp = thread() >> 5, lane = thread() & 31;
  if (thread() == 0) {
    r.init();
    prefetchMap(act), prefetchMap(w), prefetchMap(result);
  }
  barrier();
  launchNext();
  waitForPrevious();
  u32 images = step->rows;
  Walk walk = Walk::of<S>(images, channels);

  if (warp < 4) {
    registersDown<40>();
    if (warp == 0 && lane == 0) fetchActivations<S, AS>(r, act, walk);
    if (warp == 1 && lane == 0 && walk.first < walk.pairs) fetchWeights<S, AS>(r, w, walk, sumChannels, channels);
    return;
  }

  registersUp<232>();
  u32 g = (warp >> 2) - 1, row = walk.m * 64 + (warp & 3) * 16 + (lane >> 2), maskParity = 0;
  float bias0 = 0, bias1 = 0;
  if (S::PASS != BackwardData) bias0 = bias[row], bias1 = bias[row + 8];
  Cursor<2 * AS> at;
  if (g) at.next();
  float d[S::NP / 2];
  for (u32 p = walk.first; p < walk.pairs; p += walk.stride) {
    Tile<S> t = walk.tile<S>(p, g);
    Output out = {result, r.outs + g * S::OUT, r.extras + g * S::EXTRA, t.m, t.image, t.y, 1 + (int)g};
    u32 before = 0;
    for (u32 s = 0; s < 3; s++) {
      await(r.actFull + at.slot * 8, at.parity);
      UNROLL for (u32 tap = 0; tap < 3; tap++) {
        await(r.tapFull + (3 * s + tap) * 8, 0);
        multiplyTap<S>(d, r.taps + (3 * s + tap) * 8192, r.acts + r.slot(at) * S::ACT + tap * S::ROW * 128, s | tap);
        if (S::PASS == BackwardData && s == 0 && tap == 2 && (thread() & 127) == 0) fetchMask<S>(x, out, r.maskFull + g * 8);
        if (s > 0 && tap == 0) {
          wgmmaWait<1>();
          if (lane == 0) arrive(r.actFree + before * 8);
        }
      }
      before = r.slot(at);
      at.next(), at.next();
    }
    wgmmaWait<0>();
    if (lane == 0) arrive(r.actFree + before * 8);
    if constexpr (S::PASS == ForwardPool) storePooled<S>(d, out, bias0, bias1, arg, images, channels);
    if constexpr (S::PASS == Forward) storeForward<S>(d, out, bias0, bias1);
    if constexpr (S::PASS == BackwardData) {
      await(r.maskFull + g * 8, maskParity);
      maskParity ^= 1;
      storeBackward<S>(d, out);
    }
  }
  if ((thread() & 127) == 0) waitStores();
}

// A kernel's name says its images' width W, its warpgroups' tiles of 64 channels x P
// pixels, and its ring's slots: s AS.
#define FORWARD(name, PASS, W, P, AS) \
  GLOBAL BLOCK(384, 1) void wgmma_##name##_w##W##_64x##P##s##AS(const void *x, const void *w, const void *y, const float *bias, u8 *arg, const Step *step, u32 in, u32 out) { \
    narrow<Shape<PASS, W, 1, 1, P>, AS>(x, w, y, bias, arg, nullptr, step, in, out); \
  }
#define BACKWARD(W, P, AS) \
  GLOBAL BLOCK(384, 1) void wgmma_bwd_w##W##_64x##P##s##AS(const void *dy, const void *w, const void *dx, const void *x, const Step *step, u32 in, u32 out) { \
    narrow<Shape<BackwardData, W, 1, 1, P>, AS>(dy, w, dx, nullptr, nullptr, x, step, out, in); \
  }

FORWARD(pool, ForwardPool, 32, 256, 3)
FORWARD(pool, ForwardPool, 32, 128, 4)
FORWARD(fwd, Forward, 32, 256, 3)
FORWARD(fwd, Forward, 16, 256, 3)
FORWARD(fwd, Forward, 16, 128, 6)
BACKWARD(32, 128, 5)
