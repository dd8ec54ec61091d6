// y[r][c] = x[r][lo + c], x of [rows, from], y of [rows, cols].
// Grid (rows, ⌈cols/256⌉), blocks of 256, no LDS. Copies bits. Reference: ops_ref/slice.go. Launched by slice.go.
#include "gpu.h"

KERNEL(256) slice_f32(const float* RESTRICT x, float* RESTRICT y, u32 from, u32 lo, u32 cols) {
  u32 c = (u32)block_y() * 256 + tid();
  if (c < cols) y[(u64)block_x() * cols + c] = x[(u64)block_x() * from + lo + c];
}
