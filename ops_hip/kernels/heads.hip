// What latent attention needs between its products. No LDS, blocks of 256.
//
//   concat_f32  y[r][c] = a[r][c] for c < n, b[r][c - n] for the m after them; a of [rows, n], b of [rows, m]. Copies bits.
//               Grid (rows, ⌈(n+m)/256⌉). Reference: ops_ref/concat.go. Launched by concat.go.
//   head_ids    ids[t][h] = h, for t·heads + h < n. Grid ⌈n/256⌉. Reference: ops_ref/head_ids.go. Launched by head_ids.go.
#include "gpu.h"

KERNEL(256) concat_f32(const float* RESTRICT a, const float* RESTRICT b, float* RESTRICT y, u32 n, u32 m) {
  u32 c = (u32)block_y() * 256 + tid();
  u64 r = block_x();
  if (c < n + m) y[r * (n + m) + c] = c < n ? a[r * n + c] : b[r * m + (c - n)];
}

KERNEL(256) head_ids(int* RESTRICT ids, u32 heads, u32 n) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i < n) ids[i] = (int)(i % heads);
}
