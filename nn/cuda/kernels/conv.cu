// The convolutions of images whose sides are powers of two, and their gradients of
// the data: see conv_pass.h. The host tries those of the tiles that fit.
#include "conv_pass.h"

#define BOTH(...) FORWARD(conv_fwd_, 1, __VA_ARGS__) BACKWARD(conv_bwd_, 1, __VA_ARGS__)

BOTH(64, 32, 32, 3, 2, 1, 4)
BOTH(64, 64, 64, 3, 2, 1, 3)
BOTH(128, 64, 32, 4, 2, 2, 3)
BOTH(128, 64, 64, 3, 2, 1, 2)
BOTH(128, 128, 32, 3, 2, 2, 2)
BOTH(128, 128, 64, 3, 2, 2, 2)
