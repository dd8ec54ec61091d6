#include "emu.h"
// y = x / sqrt(mean(x^2) + eps) * w; one row per workgroup of 256
KERNEL(256) rms_norm(const float *__restrict x, const float *__restrict w, float *__restrict y, int n, float eps) {
  LDS float part[8];
  const float *row = x + (long)group(0) * n;
  float *out = y + (long)group(0) * n;
  float s = 0;
  for (int i = item(); i < n; i += 256) s += row[i] * row[i];
  s = sum32(s);
  if (lane_id() == 0) part[item() >> 5] = s;
  sync();
  float p = part[item() & 7];
  p += as_float(__builtin_amdgcn_ds_bpermute((lane_id() ^ 1) << 2, as_int(p)));
  p += as_float(__builtin_amdgcn_ds_bpermute((lane_id() ^ 2) << 2, as_int(p)));
  p += as_float(__builtin_amdgcn_ds_swizzle(as_int(p), 0x101f)); // xor 4
  float scale = __builtin_amdgcn_rsqf(p / n + eps);
#ifdef TAIL_BUG // the control reads and writes one element too many
  for (int i = item(); i <= n; i += 256) out[i] = row[i] * scale * w[i];
#else
  for (int i = item(); i < n; i += 256) out[i] = row[i] * scale * w[i];
#endif
}
