// The same as conv.cu for images of 24 pixels and what pools make of them: their
// sides are three times a power of two.
#include "conv_pass.h"

#define BOTH(...) FORWARD(conv_fwd_by3_, 3, __VA_ARGS__) BACKWARD(conv_bwd_by3_, 3, __VA_ARGS__)

BOTH(64, 32, 32, 3, 2, 1, 4)
BOTH(64, 64, 64, 3, 2, 1, 3)
BOTH(128, 64, 64, 3, 2, 1, 2)
BOTH(128, 128, 64, 3, 2, 2, 2)
