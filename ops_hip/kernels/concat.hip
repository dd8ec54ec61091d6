// y[r][c] = a[r][c] for c < n, b[r][c - n] for the m after them; a of [rows, n], b of [rows, m].
// Grid (rows, ⌈(n+m)/256⌉), blocks of 256, no LDS. Copies bits. Reference: ops_ref/concat.go. Launched by concat.go.
#include "gpu.h"

KERNEL(256) concat_f32(const float* RESTRICT a, const float* RESTRICT b, float* RESTRICT y, u32 n, u32 m) {
  u32 c = (u32)block_y() * 256 + tid();
  u64 r = block_x();
  if (c < n + m) y[r * (n + m) + c] = c < n ? a[r * n + c] : b[r * m + (c - n)];
}
