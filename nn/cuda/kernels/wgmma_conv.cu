// 3x3 convolutions of stride 1 and their gradient to the data, on Hopper's wgmma.
// See wgmma_conv.h for how the product lies.
//
// A block is one warpgroup that fetches and two that multiply:
//   warp 0 brings boxes of activations, warp 1 the weights of each tap;
//   warpgroups 1 and 2 hold 64 channels x NP pixels each: MW of them along the
//   channels, 2/MW along the pixels.
// Blocks walk the tiles in strides of the grid: any grid is right.
//
// Tensor maps, innermost dimension first, 128-byte swizzle:
//   act  (channels of the sum, W, N, H)     box 64, W, I, R + 2
//   w    (out, 9 in)                        box 64, 64
//   out  (channels of the result, W, N, H)  box 64, W, I, STORED / ROW
//        with a pool, W and H halved        box 64, W/2, I, NP / (2 ROW)
//   x    as out
// Where the gradient is spread over a pool's windows, out is two maps, of the upper
// and of the lower pixels of them, and x is that of the places, in pairs of bytes:
//   out  (twice the channels, W, N, H)      box 64, W, I, 64 / ROW, every other row
//   x    (half the channels, W, N, H)       box 32, W, I, NP / ROW, no swizzle
#include "wgmma_conv.h"

// Rings are the slots of shared memory and their barriers: AS slots of
// activations, WS of weights.
template <typename S, int AS, int WS> struct Rings {
  static constexpr int TAP = S::MW * 8192;
  u32 acts, taps, outs, extras, actFull, actFree, tapFull, tapFree, maskFull;
  DEVICE Rings(u32 base) {
    acts = base, taps = acts + AS * S::ACT, outs = taps + WS * TAP, extras = outs + 2 * S::OUT;
    actFull = extras + 2 * S::EXTRA, actFree = actFull + AS * 8, tapFull = actFree + AS * 8, tapFree = tapFull + WS * 8;
    maskFull = tapFree + WS * 8;
  }
  DEVICE void init() {
    for (int i = 0; i < AS; i++) barrierInit(actFull + i * 8, 1), barrierInit(actFree + i * 8, 8);
    for (int i = 0; i < WS; i++) barrierInit(tapFull + i * 8, 1), barrierInit(tapFree + i * 8, 8);
    for (int i = 0; i < 2; i++) barrierInit(maskFull + i * 8, 1);
    barrierInitDone();
  }
};

// Operands are what a kernel was given. A pointer that a pass has no use for is null.
struct Operands {
  const void *act, *w, *out, *x; // maps
  const float *bias;
  u8 *arg;
  u32 images, sumChannels, resultChannels;
  const void *lower = nullptr; // beside out
};

template <typename S, int AS, int WS> DEVICE void fetchActivations(const Rings<S, AS, WS> &r, const Operands &o, u32 tiles, u32 across) {
  Cursor<AS> at;
  for (u32 i = blockX(); i < tiles; i += blocksX()) {
    Tile<S> t(i, across);
    for (u32 k = 0; k < o.sumChannels; k += 64)
      for (int s = 0; s < 3; s++) {
        await(r.actFree + at.slot * 8, at.parity ^ 1);
        arriveExpecting(r.actFull + at.slot * 8, S::ACT);
        loadBox(r.acts + at.slot * S::ACT, o.act, r.actFull + at.slot * 8, k, s - 1, t.image, t.y - 1);
        at.next();
      }
  }
}

template <typename S, int AS, int WS> DEVICE void fetchWeights(const Rings<S, AS, WS> &r, const Operands &o, u32 tiles, u32 across) {
  constexpr int TAP = Rings<S, AS, WS>::TAP;
  Cursor<WS> at;
  for (u32 i = blockX(); i < tiles; i += blocksX()) {
    Tile<S> t(i, across);
    for (u32 k = 0; k < o.sumChannels; k += 64)
      for (int tap = 0; tap < 9; tap++) {
        await(r.tapFree + at.slot * 8, at.parity ^ 1);
        arriveExpecting(r.tapFull + at.slot * 8, TAP);
        for (int b = 0; b < S::MW; b++)
          loadTap<S::PASS>(r.taps + at.slot * TAP + b * 8192, o.w, r.tapFull + at.slot * 8, tap, k, t.m + b * 64, o.sumChannels, o.resultChannels);
        at.next();
      }
  }
}

template <typename S, int AS, int WS> DEVICE void multiplyTiles(const Rings<S, AS, WS> &r, const Operands &o, u32 tiles, u32 across) {
  constexpr int TAP = Rings<S, AS, WS>::TAP;
  u32 warp = thread() >> 5, lane = thread() & 31, group = (warp >> 2) - 1, gm = group % S::MW, gn = group / S::MW;
  Cursor<AS> at;
  Cursor<WS> wt;
  u32 maskParity = 0;
  float d[S::NP / 2];
  for (u32 i = blockX(); i < tiles; i += blocksX()) {
    Tile<S> t(i, across);
    Output out = {o.out, r.outs + group * S::OUT, r.extras + group * S::EXTRA, t.m + (int)gm * 64, t.image, t.y + (int)gn * S::NP / S::ROW, 1 + (int)group};
    u32 row = out.m + (warp & 3) * 16 + (lane >> 2);
    float bias0 = 0, bias1 = 0;
    if (!S::BACK) bias0 = o.bias[row], bias1 = o.bias[row + 8];

    u32 tapBefore = 0, actBefore = 0;
    for (u32 step = 0; step < o.sumChannels / 64 * 3; step++) {
      await(r.actFull + at.slot * 8, at.parity);
      UNROLL for (int tap = 0; tap < 3; tap++) {
        await(r.tapFull + wt.slot * 8, wt.parity);
        multiplyTap<S>(d, r.taps + wt.slot * TAP + gm * 8192, r.acts + at.slot * S::ACT + (tap * S::ROW + gn * S::NP) * 128, step | tap);
        if constexpr (S::BACK)
          if (step == 1 && tap == 0 && (thread() & 127) == 0) {
            if constexpr (S::PASS == BackwardSpread)
              fetchPlaces<S>(o.x, out, r.maskFull + group * 8);
            else
              fetchMask<S>(o.x, out, r.maskFull + group * 8);
          }
        if (step + tap > 0) {
          wgmmaWait<1>(); // the tap before is done
          if (lane == 0) {
            arrive(r.tapFree + tapBefore * 8);
            if (tap == 0) arrive(r.actFree + actBefore * 8);
          }
        }
        tapBefore = wt.slot;
        wt.next();
      }
      actBefore = at.slot;
      at.next();
    }
    wgmmaWait<0>();
    if (lane == 0) arrive(r.tapFree + tapBefore * 8), arrive(r.actFree + actBefore * 8);
    if constexpr (S::PASS == ForwardPool) storePooled<S>(d, out, bias0, bias1, o.arg, o.images, o.resultChannels);
    if constexpr (S::PASS == Forward) storeForward<S>(d, out, bias0, bias1);
    if constexpr (S::BACK) {
      await(r.maskFull + group * 8, maskParity);
      maskParity ^= 1;
      if constexpr (S::PASS == BackwardSpread)
        storeSpread<S>(d, out, o.out, o.lower, o.resultChannels);
      else
        storeBackward<S>(d, out);
    }
  }
  if ((thread() & 127) == 0) waitStores();
}

template <typename S, int AS, int WS> DEVICE void conv(Operands o, const Step *step) {
  extern SHARED char memory[];
  Rings<S, AS, WS> r((sharedAddress(memory) + 1023) & ~1023u);
  u32 warp = thread() >> 5, lane = thread() & 31;
  if (thread() == 0) {
    r.init();
    prefetchMap(o.act), prefetchMap(o.w), prefetchMap(o.out);
  }
  barrier();
  launchNext();
  waitForPrevious();
  o.images = step->rows;
  u32 across = o.resultChannels / S::MT, tiles = Tile<S>::count(o.images, across);
  if (warp < 4) {
    registersDown<40>();
    if (warp == 0 && lane == 0) fetchActivations<S, AS, WS>(r, o, tiles, across);
    if (warp == 1 && lane == 0) fetchWeights<S, AS, WS>(r, o, tiles, across);
  } else {
    registersUp<232>();
    multiplyTiles<S, AS, WS>(r, o, tiles, across);
  }
}

// A kernel's name says its images' width W, its tile of MT channels x P pixels, and
// its rings' slots: s AS, t WS.
template <Pass PASS, int W, int MT, int P> using TileOf = Shape<PASS, W, MT / 64, 128 / MT, P * MT / 128>;

#define FORWARD(name, PASS, W, MT, P, AS, WS) \
  GLOBAL BLOCK(384, 1) void wgmma_##name##_w##W##_##MT##x##P##s##AS##t##WS(const void *x, const void *w, const void *y, const float *bias, u8 *arg, const Step *step, u32 in, u32 out) { \
    conv<TileOf<PASS, W, MT, P>, AS, WS>({x, w, y, nullptr, bias, arg, 0, in, out}, step); \
  }
#define BACKWARD(W, MT, P, AS, WS) \
  GLOBAL BLOCK(384, 1) void wgmma_bwd_w##W##_##MT##x##P##s##AS##t##WS(const void *dy, const void *w, const void *dx, const void *x, const Step *step, u32 in, u32 out) { \
    conv<TileOf<BackwardData, W, MT, P>, AS, WS>({dy, w, dx, x, nullptr, nullptr, 0, out, in}, step); \
  }
#define SPREAD(W, MT, P, AS, WS) \
  GLOBAL BLOCK(384, 1) void wgmma_spread_w##W##_##MT##x##P##s##AS##t##WS(const void *dy, const void *w, const void *upper, const void *lower, const void *arg, const Step *step, u32 in, u32 out) { \
    conv<TileOf<BackwardSpread, W, MT, P>, AS, WS>({dy, w, upper, arg, nullptr, nullptr, 0, out, in, lower}, step); \
  }

FORWARD(fwd, Forward, 16, 128, 128, 4, 7)
FORWARD(fwd, Forward, 16, 64, 256, 4, 6)
FORWARD(fwd, Forward, 8, 128, 128, 4, 7)
FORWARD(fwd, Forward, 8, 64, 128, 4, 9)
FORWARD(pool, ForwardPool, 32, 64, 512, 2, 7)
FORWARD(pool, ForwardPool, 16, 128, 256, 3, 5)
FORWARD(pool, ForwardPool, 16, 128, 128, 4, 8)
FORWARD(pool, ForwardPool, 16, 64, 256, 4, 8)
FORWARD(pool, ForwardPool, 8, 128, 256, 3, 5)
FORWARD(pool, ForwardPool, 8, 64, 256, 4, 6)
FORWARD(pool, ForwardPool, 8, 64, 128, 4, 9)
BACKWARD(32, 64, 256, 4, 4)
BACKWARD(16, 128, 128, 4, 7)
BACKWARD(16, 64, 256, 4, 6)
BACKWARD(16, 64, 128, 4, 9)
BACKWARD(8, 128, 128, 4, 7)
BACKWARD(8, 64, 256, 4, 4)
BACKWARD(8, 64, 128, 4, 9)
SPREAD(16, 64, 256, 3, 6)
SPREAD(16, 64, 128, 4, 9)
SPREAD(8, 128, 128, 4, 5)
SPREAD(8, 64, 256, 3, 5)
SPREAD(8, 64, 128, 4, 9)
