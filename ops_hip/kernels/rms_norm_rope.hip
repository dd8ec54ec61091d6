// y = rope of rms_norm of x with weights w and eps: x, y [tokens, heads, n], w [n], pairs and angles as in rope.hip. The bits
// of rms_norm and rope. n is a multiple of 4, up to 512.
//
// Grid ⌈tokens·heads/4⌉, blocks of 128, a wave for a head, which sums as rms_norm_f32_wave does (norm.h), then turns pairs
// lane, lane+32, ... of the head. It reads the head twice, the second time from a cache. No LDS.
// Reference: the expansion. Launched by rms_norm_rope.go.
#include "norm.h"
#include "rope.h"

DEV void rms_norm_rope(const float* x, const float* w, const int* pos, const float* freqs, float* y, u32 rows, u32 heads, u32 n, u32 half,
                       float eps, float mscale, bool interleaved) {
  u32 r = (u32)block_x() * 4 + wave();
  if (r >= rows) return;
  x += (u64)r * n, y += (u64)r * n;
  float s;
  norm_vectors<32>(head_squares{(const f32x4*)x, &s}, n, lane(), 0, 0, norm_out{});
  s = rms_factor(s, n, eps);
  int p = pos[r / heads];
  for (u32 i = lane(); i < half; i += 32) {
    u32 j = first_of(i, interleaved), k = second_of(i, half, interleaved);
    float a = rms_scale(x[j], w[j], s), b = rms_scale(x[k], w[k], s);
    rotate(a, b, p, freqs[i], mscale);
    y[j] = a;
    y[k] = b;
  }
  for (u32 i = 2 * half + lane(); i < n; i += 32) y[i] = rms_scale(x[i], w[i], s);
}

KERNEL(128) rms_norm_rope_f32_neox(const float* RESTRICT x, const float* RESTRICT w, const int* RESTRICT pos, const float* RESTRICT freqs,
                                   float* RESTRICT y, u32 rows, u32 heads, u32 n, u32 half, float eps, float mscale) {
  rms_norm_rope(x, w, pos, freqs, y, rows, heads, n, half, eps, mscale, false);
}

KERNEL(128) rms_norm_rope_f32_interleaved(const float* RESTRICT x, const float* RESTRICT w, const int* RESTRICT pos,
                                          const float* RESTRICT freqs, float* RESTRICT y, u32 rows, u32 heads, u32 n, u32 half, float eps,
                                          float mscale) {
  rms_norm_rope(x, w, pos, freqs, y, rows, heads, n, half, eps, mscale, true);
}
