// Elementwise test kernels: y = x + y over the last dimensions, y = by * x. Blocks of 256 threads, one element
// each. Launched by ops_hip/testkernels_test.go.
#include "portable.h"

// out[i] = x[i] + y[i % m]
KERNEL(256) test_add(const float *x, const float *y, float *out, unsigned n, unsigned m) {
  unsigned i = block_id() * 256 + thread_id();
  if (i < n) out[i] = x[i] + y[i % m];
}

// out[i] = by * x[i]; the odd order of arguments tests their alignment
KERNEL(256) test_scale(float by, const float *x, unsigned n, float *out) {
  unsigned i = block_id() * 256 + thread_id();
  if (i < n) out[i] = by * x[i];
}
