// y[r][c] = x[idx[r]][c], x of [n, cols]; a row whose index is outside x is NaN.
// Grid (rows, ⌈cols/256⌉), blocks of 256, no LDS. Copies bits. Reference: ops_ref/rows.go. Launched by rows.go.
#include "gpu.h"

KERNEL(256) rows_f32(const float* RESTRICT x, const int* RESTRICT idx, float* RESTRICT y, u32 n, u32 cols) {
  u32 c = (u32)block_y() * 256 + tid(), r = idx[block_x()];
  if (c < cols) y[(u64)block_x() * cols + c] = r < n ? x[(u64)r * cols + c] : __builtin_nanf("");
}
