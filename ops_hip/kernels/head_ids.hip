// ids[t][h] = h, for t·heads + h < n. Grid ⌈n/256⌉, blocks of 256, no LDS. Reference: ops_ref/head_ids.go. Launched by
// head_ids.go.
#include "gpu.h"

KERNEL(256) head_ids(int* RESTRICT ids, u32 heads, u32 n) {
  u32 i = (u32)block_x() * 256 + tid();
  if (i < n) ids[i] = (int)(i % heads);
}
