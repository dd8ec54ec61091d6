// y[i] = gate[i] · sigmoid(gate[i]) · up[i], n elements. Unless codes are null, n is a multiple of 32, and codes and ds are the
// 24-bit codes of y as a matrix of n elements (q24.h), for products that read nothing else of y.
// Grid ⌈n/256⌉, blocks of 256, a thread an element, no LDS. n < 2^31. Float arithmetic. Reference: ops_ref/""gated.go.
// Launched by swiglu.go.
#include "math.h"
#include "q24.h"

KERNEL(256) swiglu_f32(const float* RESTRICT gate, const float* RESTRICT up, float* RESTRICT y, i8* RESTRICT codes, float* RESTRICT ds,
                       u32 n) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i >= n) return;
  float v = silu_f(gate[i]) * up[i];
  y[i] = v;
  if (codes) q24_lanes(v, i, q24_out{codes, ds, n});
}
