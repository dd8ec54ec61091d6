// y[t][c] = x[t][c] where ids[t] is negative, else rows[ids[t]][c]: x of [tokens, cols], rows of [m, cols]. A row whose
// index is m or more is NaN.
// Grid (tokens, ⌈cols/256⌉), blocks of 256, no LDS. Copies bits. Reference: ops_ref/replace_rows.go. Launched by
// replace_rows.go.
#include "gpu.h"

KERNEL(256) replace_rows_f32(const float* RESTRICT x, const float* RESTRICT rows, const int* RESTRICT ids, float* RESTRICT y, int m, u32 cols) {
  u32 c = (u32)block_y() * 256 + tid(), t = block_x();
  int r = ids[t];
  if (c < cols) y[(u64)t * cols + c] = r < 0 ? x[(u64)t * cols + c] : r < m ? rows[(u64)r * cols + c] : __builtin_nanf("");
}
