#include "emu.h"
#define DIM 64
#define TILE 32
// decode attention with online softmax: grid (heads, queries), K and V f16 [kv heads][tokens][64]
KERNEL(128) attention_decode(const float *__restrict q, const half *__restrict k, const half *__restrict v, float *__restrict o,
                             int heads, int kv_heads, int tokens, int pos, float scale) {
  LDS half ks[TILE * (DIM + 8)], vs[TILE * (DIM + 8)];
  LDS float ps[TILE], red[2 * DIM];
  int t = item(), lane = lane_id(), head = group(0), qi = group(1), kv = head / (heads / kv_heads);
  int len = pos + qi + 1;
  if (len > tokens) len = tokens;
  q += ((long)qi * heads + head) * DIM;
  k += (long)kv * tokens * DIM;
  v += (long)kv * tokens * DIM;
  int tok = t >> 2, part = t & 3, d = t & 63;
  half2 qh[8];
#pragma unroll
  for (int i = 0; i < 8; i++) qh[i] = (half2){(half)q[part * 16 + 2 * i], (half)q[part * 16 + 2 * i + 1]};
  float m = -__builtin_inff(), l = 0, acc = 0;
  for (int j = 0; j < len; j += TILE) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int e = (t + i * 128) * 8, row = e / DIM, col = e % DIM;
      half8 kz = {}, vz = {};
      if (j + row < len) {
        kz = *(const half8 *)(k + (long)(j + row) * DIM + col);
        vz = *(const half8 *)(v + (long)(j + row) * DIM + col);
      }
      *(half8 *)(ks + row * (DIM + 8) + col) = kz;
      *(half8 *)(vs + row * (DIM + 8) + col) = vz;
    }
    sync();
    float s = 0;
    const half2 *kr = (const half2 *)(ks + tok * (DIM + 8) + part * 16);
#pragma unroll
    for (int i = 0; i < 8; i++) s = __builtin_amdgcn_fdot2(qh[i], kr[i], s, false);
    s += dpp<0xb1>(s);
    s += dpp<0x4e>(s);
    s = j + tok < len ? s * scale : -__builtin_inff();
    if (part == 0) ps[tok] = s;
    sync();
    float sl = ps[lane], mn = __builtin_fmaxf(m, max32(sl));
    float p = __builtin_amdgcn_exp2f(sl - mn), corr = __builtin_amdgcn_exp2f(m - mn);
    l = l * corr + sum32(p);
    m = mn;
    acc *= corr;
#pragma unroll 4
    for (int i = 0; i < TILE; i += 2) {
      int row = i + (t >> 6);
      acc += as_float(__builtin_amdgcn_ds_bpermute(row << 2, as_int(p))) * (float)vs[row * (DIM + 8) + d];
    }
    sync();
  }
  red[t] = acc;
  sync();
  if (t < 64) o[((long)qi * heads + head) * DIM + t] = (red[t] + red[t + 64]) / l;
}
// prefill attention: a wave per 16 queries of a head, causal, all f16 [heads][tokens][64]
KERNEL(32) attention_prefill(const half *__restrict q, const half *__restrict k, const half *__restrict v, float *__restrict o, int tokens, float scale) {
  LDS half pl[16 * 24];
  int r = lane_id() & 15, h = lane_id() >> 4, q0 = group(1) * 16;
  long base = (long)group(0) * tokens * DIM;
  q += base, k += base, v += base, o += base;
  float8 acc[4] = {};
  float m[8], l[8];
#pragma unroll
  for (int e = 0; e < 8; e++) m[e] = -1e30f, l[e] = 0;
  for (int j = 0; j <= q0; j += 16) {
    float8 s = {};
#pragma unroll
    for (int d = 0; d < DIM; d += 16) {
#if GFX12
      s = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(*(const half8 *)(q + (q0 + r) * DIM + d + 8 * h), *(const half8 *)(k + (j + r) * DIM + d + 8 * h), s);
#else
      s = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(*(const half16 *)(q + (q0 + r) * DIM + d), *(const half16 *)(k + (j + r) * DIM + d), s);
#endif
    }
#pragma unroll
    for (int e = 0; e < 8; e++) {
      int row = GFX12 ? 8 * h + e : 2 * e + h;
      float x = j + r <= q0 + row ? s[e] * scale : -1e30f;
      float mn = __builtin_fmaxf(m[e], max16(x)), p = __builtin_amdgcn_exp2f(x - mn), corr = __builtin_amdgcn_exp2f(m[e] - mn);
      l[e] = l[e] * corr + sum16(p);
      m[e] = mn;
#pragma unroll
      for (int d = 0; d < 4; d++) acc[d][e] *= corr;
      pl[row * 24 + r] = (half)p;
    }
    sync();
#pragma unroll
    for (int d = 0; d < 4; d++) {
#if GFX12
      half8 a = *(half8 *)(pl + r * 24 + 8 * h), b;
#pragma unroll
      for (int i = 0; i < 8; i++) b[i] = v[(j + 8 * h + i) * DIM + d * 16 + r];
      acc[d] = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a, b, acc[d]);
#else
      half16 a = __builtin_shufflevector(*(half8 *)(pl + r * 24), *(half8 *)(pl + r * 24 + 8), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), b;
#pragma unroll
      for (int i = 0; i < 16; i++) b[i] = v[(j + i) * DIM + d * 16 + r];
      acc[d] = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a, b, acc[d]);
#endif
    }
    sync();
  }
#pragma unroll
  for (int e = 0; e < 8; e++)
#pragma unroll
    for (int d = 0; d < 4; d++) o[(q0 + (GFX12 ? 8 * h + e : 2 * e + h)) * DIM + d * 16 + r] = acc[d][e] / l[e];
}
