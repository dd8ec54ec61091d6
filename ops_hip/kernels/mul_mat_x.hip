// Activations x [rows, k] in the forms that the second variants of mul_mat and mul_mat_experts read. Launched by
// mul_mat_x.go.
//
//   mul_mat_x_f16   y half [rows, k] = x·2^e with a power of two for each row, inverse float [rows] = 2^-e: see
//                   half_row in gemm.h. Grid rows, blocks of 256, LDS 32 bytes.
//   mul_mat_x_q8    Blocks of 32: q int8 [rows, k] = x/d to the nearest, half to even; ds float [rows, k/32][2] = d
//                   (largest magnitude / 127) and d·Σq. Grid ⌈blocks/8⌉, blocks of 256, a wave for a block, no LDS.
#include "gemm.h"

KERNEL(256) mul_mat_x_f16(const float* RESTRICT x, half* RESTRICT y, float* RESTRICT inverse, int k) {
  LDS float part[8];
  half_row(x + (i64)block_x() * k, y + (i64)block_x() * k, inverse + block_x(), k, part);
}

KERNEL(256) mul_mat_x_q8(const float* RESTRICT x, i8* RESTRICT q, float* RESTRICT ds, u32 blocks) {
  u32 b = (u32)block_x() * 8 + wave();
  if (b >= blocks) return;
  u64 i = (u64)b * 32 + lane();
  float v = x[i], m = wave_max(__builtin_fabsf(v));
  float d = m * (1.0f / 127), id = m > 0 ? 127.0f / m : 0;
  float c = __builtin_rintf(v * id), sum = wave_sum(c);
  q[i] = (i8)(int)c;
  if (lane() == 0) *(f32x2*)(ds + 2 * (u64)b) = (f32x2){d, d * sum};
}
