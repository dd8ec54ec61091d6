#include "emu.h"
struct q8_0 { half d; s8 q[32]; };
struct q8_1 { half d, s; s8 q[32]; };
struct q4_k { half d, dmin; u8 scales[12]; u8 q[128]; };
FN int load4(const s8 *p) { const u16 *h = (const u16 *)p; return h[0] | h[1] << 16; }
// y[row] = W[row] . x in Q8_0 times Q8_1; a wave per row, four rows per workgroup
KERNEL(128) mat_vec_q8_0(const q8_0 *__restrict w, const q8_1 *__restrict x, float *__restrict y, int rows, int blocks) {
  int row = group(0) * 4 + (item() >> 5), lane = lane_id();
  if (row >= rows) return;
  w += (long)row * blocks;
  float acc = 0;
  for (int b = lane >> 2; b < blocks; b += 8) {
    int k = (lane & 3) * 8, sum = 0;
    const int *xq = (const int *)(x[b].q + k);
    sum = __builtin_amdgcn_sudot4(true, load4(w[b].q + k), true, xq[0], sum, false);
    sum = __builtin_amdgcn_sudot4(true, load4(w[b].q + k + 4), true, xq[1], sum, false);
    acc += (float)sum * (float)w[b].d * (float)x[b].d;
  }
  acc = sum32(acc);
  if (lane == 0) y[row] = acc;
}
FN void scale_min(int j, const u8 *q, int &sc, int &m) {
  if (j < 4) { sc = q[j] & 63; m = q[j + 4] & 63; }
  else { sc = (q[j + 4] & 15) | q[j - 4] >> 6 << 4; m = q[j + 4] >> 4 | q[j] >> 6 << 4; }
}
// the same with W in Q4_K and x in f32
KERNEL(128) mat_vec_q4_k(const q4_k *__restrict w, const float *__restrict x, float *__restrict y, int rows, int blocks) {
  int row = group(0) * 4 + (item() >> 5), lane = lane_id();
  if (row >= rows) return;
  w += (long)row * blocks;
  int grp = lane >> 3, off = (lane & 7) * 4;
  float acc = 0;
  for (int b = 0; b < blocks; b++) {
    u32 q = *(const u32 *)(w[b].q + grp * 32 + off);
    int s0, m0, s1, m1;
    scale_min(2 * grp, w[b].scales, s0, m0);
    scale_min(2 * grp + 1, w[b].scales, s1, m1);
    float d = w[b].d, dm = w[b].dmin;
    const float *xp = x + b * 256 + grp * 64 + off;
    float4v xa = *(const float4v *)xp, xb = *(const float4v *)(xp + 32);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      acc += (d * s0 * (float)(q >> 8 * i & 15) - dm * m0) * xa[i];
      acc += (d * s1 * (float)(q >> (8 * i + 4) & 15) - dm * m1) * xb[i];
    }
  }
  acc = sum32(acc);
  if (lane == 0) y[row] = acc;
}
// the same with x in Q8_1 and integer dot products
KERNEL(128) mat_vec_q4_k_q8_1(const q4_k *__restrict w, const q8_1 *__restrict x, float *__restrict y, int rows, int blocks) {
  int row = group(0) * 4 + (item() >> 5), lane = lane_id();
  if (row >= rows) return;
  w += (long)row * blocks;
  int grp = lane >> 3, o = lane & 7;
  float acc = 0;
  for (int b = 0; b < blocks; b++) {
    u32 q = *(const u32 *)(w[b].q + grp * 32 + o * 4);
    int s0, m0, s1, m1;
    scale_min(2 * grp, w[b].scales, s0, m0);
    scale_min(2 * grp + 1, w[b].scales, s1, m1);
    const q8_1 *xa = x + b * 8 + 2 * grp, *xb = xa + 1;
    int ia = ((const int *)xa->q)[o], ib = ((const int *)xb->q)[o];
    int da = __builtin_amdgcn_sudot4(false, q & 0x0f0f0f0f, true, ia, 0, false);
    int db = __builtin_amdgcn_sudot4(false, q >> 4 & 0x0f0f0f0f, true, ib, 0, false);
    int ma = __builtin_amdgcn_sudot4(false, 0x01010101, true, ia, 0, false);
    int mb = __builtin_amdgcn_sudot4(false, 0x01010101, true, ib, 0, false);
    acc += (float)w[b].d * ((float)xa->d * (da * s0) + (float)xb->d * (db * s1)) - (float)w[b].dmin * ((float)xa->d * (ma * m0) + (float)xb->d * (mb * m1));
  }
  acc = sum32(acc);
  if (lane == 0) y[row] = acc;
}
