#include "emu.h"
// operations that LLVM expands into long sequences, and whose results are exact
KERNEL(64) divide(const float *__restrict a, const float *__restrict b, float *__restrict q, float *__restrict root, int n) {
  int i = group(0) * 64 + item();
  if (i >= n) return;
  q[i] = a[i] / b[i];
  root[i] = __builtin_sqrtf(__builtin_fabsf(a[i]));
}
KERNEL(64) divide64(const double *__restrict a, const double *__restrict b, double *__restrict q, double *__restrict f, int n) {
  int i = group(0) * 64 + item();
  if (i >= n) return;
  q[i] = a[i] / b[i];
  f[i] = __builtin_fma(a[i], b[i], a[i] - b[i]);
}
KERNEL(64) integers(const int *__restrict a, const int *__restrict b, int *__restrict q, u32 *__restrict r, u64 *__restrict w, int n) {
  int i = group(0) * 64 + item();
  if (i >= n) return;
  q[i] = a[i] / b[i];
  r[i] = (u32)a[i] % (u32)b[i];
  w[i] = (u64)(u32)a[i] * (u32)b[i] + ((u64)a[i] >> (b[i] & 63));
}
KERNEL(64) halves(const half *__restrict a, const half *__restrict b, half *__restrict sum, half *__restrict fma, half *__restrict quot, float *__restrict mix, int n) {
  int i = group(0) * 64 + item();
  if (i >= n) return;
  half2 x = {a[i], b[i]}, y = {b[i], a[i]}, s = x * y + x;
  sum[i] = a[i] + b[i];
  fma[i] = __builtin_fmaf16(a[i], b[i], s[1] > s[0] ? a[i] : b[i]);
  quot[i] = a[i] / b[i];
  mix[i] = __builtin_fmaf((float)a[i], (float)b[i], 0.1f);
}
