// Activations x [rows, k] in the forms that the second variants of mul_mat and mul_mat_experts read. Launched by
// mul_mat_x.go.
//
//   mul_mat_x_f16   y half [rows, k] = x·2^e with a power of two for each row, inverse float [rows] = 2^-e: see
//                   half_row in gemm.h. With low = rows, y is [2·rows, k] and ends with what rounding took; with low = 0 it
//                   does not. Grid rows, blocks of 256, LDS 32 bytes.
//   mul_mat_x_bf16  y bfloat16 [rows or 2·rows, k] = x half to even and what that took, inverse = 1. Likewise.
//   mul_mat_x_q24   Blocks of 32 with 24-bit codes: codes int8 [3, rows, k], c = 65536·codes[0] + 256·codes[1] + codes[2]
//                   = x/d to the nearest, d = largest magnitude / (127·65536); ds float [rows, k/32][2] = d and the
//                   sum of the block as coded. x ≈ d·c to 2^-24 of the largest of the block (its rounding and that of
//                   the float x/d), the codes themselves are c exactly. Blocks below 2^-100 are 0, those with a NaN
//                   are NaN. Grid ⌈blocks/8⌉, blocks of 256, a wave for a block, no LDS.
#include "gemm.h"
#include "q24.h"

KERNEL(256) mul_mat_x_f16(const float* RESTRICT x, half* RESTRICT y, float* RESTRICT inverse, int k, int low) {
  LDS float part[8];
  half* row = y + (i64)block_x() * k;
  half_row(x + (i64)block_x() * k, row, low ? row + (i64)low * k : 0, inverse + block_x(), k, part);
}

KERNEL(256) mul_mat_x_bf16(const float* RESTRICT x, u16* RESTRICT y, float* RESTRICT inverse, int k, int low) {
  i64 row = (i64)block_x() * k;
  for (int i = tid(); i < k; i += 256) {
    float v = x[row + i];
    y[row + i] = to_bhalf(v);
    if (low) y[row + (i64)low * k + i] = to_bhalf(rest(v, rounded(bhalf(), v)));
  }
  if (tid() == 0) inverse[block_x()] = 1;
}

KERNEL(256) mul_mat_x_q24(const float* RESTRICT x, i8* RESTRICT codes, float* RESTRICT ds, u32 blocks) {
  u32 b = (u32)block_x() * 8 + wave();
  if (b >= blocks) return;
  u64 i = (u64)b * 32 + lane();
  q24_lanes(x[i], i, q24_out{codes, ds, blocks * 32});
}
