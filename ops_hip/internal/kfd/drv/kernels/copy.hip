// Transfers and fills of the KFD driver: the whole of it in one packet, for any address and size.
// Grid (any, 1), blocks of 256, no LDS; stride is the number of threads. Copies bits. Checked by the driver's tests.
#include "../../../../kernels/gpu.h"

// copy_aligned copies n bytes between addresses that are equal modulo 16: bytes up to a multiple of 16, then 16 at a
// time, then bytes.
KERNEL(256) copy_aligned(u8* RESTRICT dst, const u8* RESTRICT src, u64 n, u32 stride) {
  u64 i = (u64)block_x() * 256 + tid(), head = -(u64)dst & 15;
  if (head > n) head = n;
  u64 body = (n - head) / 16, tail = head + body * 16;
  u32x4* to = (u32x4*)(dst + head);
  const u32x4* from = (const u32x4*)(src + head);
  if (i < head) dst[i] = src[i];
  if (i < n - tail) dst[tail + i] = src[tail + i];
  NO_UNROLL for (; i < body; i += stride) to[i] = from[i];
}

// copy_bytes copies n bytes between any addresses.
KERNEL(256) copy_bytes(u8* RESTRICT dst, const u8* RESTRICT src, u64 n, u32 stride) {
  NO_UNROLL for (u64 i = (u64)block_x() * 256 + tid(); i < n; i += stride) dst[i] = src[i];
}

// fill writes n bytes, value being four equal ones.
KERNEL(256) fill(u8* RESTRICT dst, u64 n, u32 value, u32 stride) {
  u64 i = (u64)block_x() * 256 + tid(), head = -(u64)dst & 15;
  if (head > n) head = n;
  u64 body = (n - head) / 16, tail = head + body * 16;
  u32x4* to = (u32x4*)(dst + head);
  if (i < head) dst[i] = (u8)value;
  if (i < n - tail) dst[tail + i] = (u8)value;
  u32x4 v = {value, value, value, value};
  NO_UNROLL for (; i < body; i += stride) to[i] = v;
}
