// y[i] = positive·x[i]² + linear·x[i] where x[i] > 0, negative·(e^x[i] - 1 - x[i]) + linear·x[i] elsewhere.
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/activations.go. Launched by xielu.go.
#include "elementwise.h"

// curve returns e^x - 1 - x for x ≤ 0: near zero the series, whose first omitted term is below 2^-27 of it there.
DEV float curve(float x) {
  float series = x * x * 0.5f * (1.0f + x * (1.0f / 3) * (1.0f + x * (1.0f / 4) * (1.0f + x * (1.0f / 5) * (1.0f + x * (1.0f / 6) * (1.0f + x * (1.0f / 7))))));
  return x > -0.5f ? series : exp_f(x) - 1.0f - x;
}

KERNEL(256) xielu_f32(const float* RESTRICT x, float* RESTRICT y, u32 n, float positive, float negative, float linear) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i >= n) return;
  float v = x[i];
  y[i] = (v > 0 ? positive * v * v : negative * curve(v)) + linear * v;
}
