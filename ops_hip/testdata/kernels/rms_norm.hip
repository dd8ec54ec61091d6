// Test kernels of a norm in two launches that share scratch memory, one block of 128 threads per row: the sums of
// squares first, in a fixed order, then the scaled rows. Launched by ops_hip/testkernels_test.go.
#include "portable.h"

// sums[row] = sum over i of x[row][i]^2
KERNEL(128) test_rms_sums(const float *x, float *sums, unsigned n) {
  SHARED static float part[128];
  unsigned t = thread_id(), row = block_id();
  float s = 0;
  for (unsigned i = t; i < n; i += 128) s += x[row * n + i] * x[row * n + i];
  part[t] = s;
  barrier();
  for (unsigned w = 64; w > 0; w /= 2) {
    if (t < w) part[t] += part[t + w];
    barrier();
  }
  if (t == 0) sums[row] = part[0];
}

// out[row][i] = x[row][i] / sqrt(sums[row] / n + eps) * w[i]
KERNEL(128) test_rms_apply(const float *x, const float *w, const float *sums, float *out, unsigned n, float eps) {
  unsigned t = thread_id(), row = block_id();
  float r = 1.0f / square_root(sums[row] / (float)n + eps);
  for (unsigned i = t; i < n; i += 128) out[row * n + i] = x[row * n + i] * r * w[i];
}
