// Rotates pair i of each head by the angle pos[t]·freqs[i]: (a, b) to (a·cos - b·sin, a·sin + b·cos), cosine and sine
// times mscale; elements from 2·half on pass unchanged. x, y [tokens, heads, dim]. Pair i is (i, i+half) in
// rope_f32_neox, (2i, 2i+1) in rope_f32_interleaved.
//
// Grid (tokens, ⌈heads·(dim-half)/256⌉), blocks of 256: a thread for a pair, or for an element that passes. No LDS.
// Reference: ops_ref/rope.go. Launched by rope.go.
#include "rope.h"

DEV void rope(const float* x, const int* pos, const float* freqs, float* y, u32 heads, u32 dim, u32 half, float mscale, bool interleaved) {
  u32 per = dim - half, i = (u32)block_y() * 256 + tid(), h = i / per;
  if (h >= heads) return;
  i -= h * per;
  u64 head = ((u64)block_x() * heads + h) * dim;
  x += head, y += head;
  if (i >= half) {
    y[i + half] = x[i + half];
    return;
  }
  u32 j = first_of(i, interleaved), k = second_of(i, half, interleaved);
  float a = x[j], b = x[k];
  rotate(a, b, pos[block_x()], freqs[i], mscale);
  y[j] = a;
  y[k] = b;
}

KERNEL(256) rope_f32_neox(const float* RESTRICT x, const int* RESTRICT pos, const float* RESTRICT freqs, float* RESTRICT y,
                          u32 heads, u32 dim, u32 half, float mscale) {
  rope(x, pos, freqs, y, heads, dim, half, mscale, false);
}

KERNEL(256) rope_f32_interleaved(const float* RESTRICT x, const int* RESTRICT pos, const float* RESTRICT freqs, float* RESTRICT y,
                                 u32 heads, u32 dim, u32 half, float mscale) {
  rope(x, pos, freqs, y, heads, dim, half, mscale, true);
}
