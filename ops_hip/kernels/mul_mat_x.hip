// Activations x [rows, k] in the forms that the second variants of mul_mat and mul_mat_experts read. Launched by
// mul_mat_x.go.
//
//   mul_mat_x_f16   y half [rows, k] = x·2^e with a power of two for each row, inverse float [rows] = 2^-e: see
//                   half_row in gemm.h. Grid rows, blocks of 256, LDS 32 bytes.
//   mul_mat_x_bf16  y bfloat16 [rows, k] = x half to even, inverse = 1. Likewise.
//   mul_mat_x_q16   Blocks of 32 with 16-bit codes in two bytes: high int8 [rows, k] = x/d to the nearest, low int8
//                   [rows, k] = (x/d - high)·254 to the nearest, d = largest magnitude / 127; ds float [rows, k/32][2]
//                   = d/254 and the sum of the block as coded. x ≈ d/254·(254·high + low), to 2^-16 of the largest
//                   of the block. Grid ⌈blocks/8⌉, blocks of 256, a wave for a block, no LDS.
#include "gemm.h"

KERNEL(256) mul_mat_x_f16(const float* RESTRICT x, half* RESTRICT y, float* RESTRICT inverse, int k) {
  LDS float part[8];
  half_row(x + (i64)block_x() * k, y + (i64)block_x() * k, inverse + block_x(), k, part);
}

KERNEL(256) mul_mat_x_bf16(const float* RESTRICT x, u16* RESTRICT y, float* RESTRICT inverse, int k) {
  i64 row = (i64)block_x() * k;
  for (int i = tid(); i < k; i += 256) y[row + i] = to_bhalf(x[row + i]);
  if (tid() == 0) inverse[block_x()] = 1;
}

KERNEL(256) mul_mat_x_q16(const float* RESTRICT x, i8* RESTRICT high, i8* RESTRICT low, float* RESTRICT ds, u32 blocks) {
  u32 b = (u32)block_x() * 8 + wave();
  if (b >= blocks) return;
  u64 i = (u64)b * 32 + lane();
  float v = x[i], m = wave_max(__builtin_fabsf(v));
  float v_d = v * (m > 0x1p-110f ? 127.0f / m : 0), h = __builtin_rintf(v_d), l = __builtin_rintf((v_d - h) * 254.0f);
  high[i] = (i8)(int)h;
  low[i] = (i8)(int)l;
  float d = m * (1.0f / (127 * 254)), sum = wave_sum(254.0f * h + l);
  if (lane() == 0) *(f32x2*)(ds + 2 * (u64)b) = (f32x2){d, d * sum};
}
