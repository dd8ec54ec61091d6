// y[i] = g · sigmoid(alpha·g) · (u + 1), g = min(gate[i], limit), u = up[i] clamped to ±limit.
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/gated.go. Launched by swiglu_clamped.go.
#include "math.h"

KERNEL(256)
swiglu_clamped_f32(const float* RESTRICT gate, const float* RESTRICT up, float* RESTRICT y, u32 n, float alpha, float limit) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i >= n) return;
  float g = __builtin_fminf(gate[i], limit);
  float u = __builtin_fminf(__builtin_fmaxf(up[i], -limit), limit);
  y[i] = g * sigmoid_f(alpha * g) * (u + 1.0f);
}
