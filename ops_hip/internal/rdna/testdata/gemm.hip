#include "emu.h"
#define PITCH 40
// row of C that accumulator register i holds
FN int acc_row(int i) {
#ifdef SWAP_ROWS // the control takes the other generation's layout
  return GFX12 ? 2 * i + (lane_id() >> 4) : 8 * (lane_id() >> 4) + i;
#else
  return GFX12 ? 8 * (lane_id() >> 4) + i : 2 * i + (lane_id() >> 4);
#endif
}
// C = A B^T in f16 with f32 accumulators, staged through LDS; 64x64 tiles, four waves
KERNEL(128) gemm_f16(const half *__restrict a, const half *__restrict b, float *__restrict c, int n, int k) {
  LDS half as[64 * PITCH], bs[64 * PITCH];
  int t = item(), wave = t >> 5, r = lane_id() & 15, h = lane_id() >> 4;
  int m0 = group(1) * 64, n0 = group(0) * 64, wm = (wave >> 1) * 32, wn = (wave & 1) * 32;
  float8 acc[2][2] = {};
  for (int k0 = 0; k0 < k; k0 += 32) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int row = (t >> 2) + i * 32, col = (t & 3) * 8;
      *(half8 *)(as + row * PITCH + col) = *(const half8 *)(a + (long)(m0 + row) * k + k0 + col);
      *(half8 *)(bs + row * PITCH + col) = *(const half8 *)(b + (long)(n0 + row) * k + k0 + col);
    }
    sync();
#pragma unroll
    for (int kk = 0; kk < 32; kk += 16) {
#if GFX12
      half8 fa[2], fb[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        fa[i] = *(half8 *)(as + (wm + i * 16 + r) * PITCH + kk + 8 * h);
        fb[i] = *(half8 *)(bs + (wn + i * 16 + r) * PITCH + kk + 8 * h);
      }
#else
      half16 fa[2], fb[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const half *pa = as + (wm + i * 16 + r) * PITCH + kk, *pb = bs + (wn + i * 16 + r) * PITCH + kk;
        fa[i] = __builtin_shufflevector(*(half8 *)pa, *(half8 *)(pa + 8), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        fb[i] = __builtin_shufflevector(*(half8 *)pb, *(half8 *)(pb + 8), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      }
#endif
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 2; j++)
#if GFX12
          acc[i][j] = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(fa[i], fb[j], acc[i][j]);
#else
          acc[i][j] = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(fa[i], fb[j], acc[i][j]);
#endif
    }
    sync();
  }
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 2; j++)
#pragma unroll
      for (int e = 0; e < 8; e++) c[(long)(m0 + wm + i * 16 + acc_row(e)) * n + n0 + wn + j * 16 + r] = acc[i][j][e];
}
// C = A B^T in int8; a wave per 16x16 tile
template <bool SB> FN void gemm_int8(const s8 *a, const s8 *b, int *c, int n, int k) {
  int r = lane_id() & 15, m0 = group(1) * 16, n0 = (group(0) * 4 + (item() >> 5)) * 16;
  int8v acc = {};
  for (int k0 = 0; k0 < k; k0 += 16) {
#if GFX12
    int h = lane_id() >> 4;
    int2v fa = *(const int2v *)(a + (long)(m0 + r) * k + k0 + 8 * h), fb = *(const int2v *)(b + (long)(n0 + r) * k + k0 + 8 * h);
    acc = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, fa, SB, fb, acc, false);
#else
    int4v fa = *(const int4v *)(a + (long)(m0 + r) * k + k0), fb = *(const int4v *)(b + (long)(n0 + r) * k + k0);
    acc = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, fa, SB, fb, acc, false);
#endif
  }
#pragma unroll
  for (int e = 0; e < 8; e++) c[(long)(m0 + acc_row(e)) * n + n0 + r] = acc[e];
}
KERNEL(128) gemm_i8(const s8 *__restrict a, const s8 *__restrict b, int *__restrict c, int n, int k) { gemm_int8<true>(a, b, c, n, k); }
KERNEL(128) gemm_i8_u8(const s8 *__restrict a, const s8 *__restrict b, int *__restrict c, int n, int k) { gemm_int8<false>(a, b, c, n, k); }
// one tile D = A B^T + C of every other fragment type; A and B are 16x16 (16x32 for
// the long iu4), all row-major, C and D 16x16
KERNEL(32) tile_bf16(const u16 *__restrict a, const u16 *__restrict b, const float *__restrict c, float *__restrict d) {
  int r = lane_id() & 15;
  float8 acc;
  for (int e = 0; e < 8; e++) acc[e] = c[acc_row(e) * 16 + r];
#if GFX12
  int h = lane_id() >> 4;
  acc = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(*(const short8 *)(a + r * 16 + 8 * h), *(const short8 *)(b + r * 16 + 8 * h), acc);
#else
  acc = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(*(const short16 *)(a + r * 16), *(const short16 *)(b + r * 16), acc);
#endif
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = acc[e];
}
KERNEL(32) tile_f16_acc(const half *__restrict a, const half *__restrict b, const half *__restrict c, half *__restrict d) {
  int r = lane_id() & 15;
#if GFX12
  int h = lane_id() >> 4;
  half8 acc;
  for (int e = 0; e < 8; e++) acc[e] = c[acc_row(e) * 16 + r];
  acc = __builtin_amdgcn_wmma_f16_16x16x16_f16_w32_gfx12(*(const half8 *)(a + r * 16 + 8 * h), *(const half8 *)(b + r * 16 + 8 * h), acc);
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = acc[e];
#else
  half16 lo = {}, hi = {};
  for (int e = 0; e < 8; e++) lo[2 * e] = hi[2 * e + 1] = c[acc_row(e) * 16 + r];
  half16 fa = *(const half16 *)(a + r * 16), fb = *(const half16 *)(b + r * 16);
  lo = __builtin_amdgcn_wmma_f16_16x16x16_f16_w32(fa, fb, lo, false);
  hi = __builtin_amdgcn_wmma_f16_16x16x16_f16_w32(fa, fb, hi, true);
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = r & 1 ? hi[2 * e + 1] : lo[2 * e];
#endif
}
// nibbles: a row of A or B is 8 bytes (16 bytes for the long form)
KERNEL(32) tile_iu4(const int *__restrict a, const int *__restrict b, const int *__restrict c, int *__restrict d) {
  int r = lane_id() & 15;
  int8v acc;
  for (int e = 0; e < 8; e++) acc[e] = c[acc_row(e) * 16 + r];
#if GFX12
  int h = lane_id() >> 4;
  acc = __builtin_amdgcn_wmma_i32_16x16x16_iu4_w32_gfx12(true, a[r * 2 + h], false, b[r * 2 + h], acc, false);
#else
  acc = __builtin_amdgcn_wmma_i32_16x16x16_iu4_w32(true, *(const int2v *)(a + r * 2), false, *(const int2v *)(b + r * 2), acc, false);
#endif
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = acc[e];
}
#if GFX12
KERNEL(32) tile_iu4_long(const int *__restrict a, const int *__restrict b, const int *__restrict c, int *__restrict d) {
  int r = lane_id() & 15, h = lane_id() >> 4;
  int8v acc;
  for (int e = 0; e < 8; e++) acc[e] = c[acc_row(e) * 16 + r];
  acc = __builtin_amdgcn_wmma_i32_16x16x32_iu4_w32_gfx12(true, *(const int2v *)(a + r * 4 + 2 * h), true, *(const int2v *)(b + r * 4 + 2 * h), acc, false);
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = acc[e];
}
KERNEL(32) tile_fp8(const u8 *__restrict a, const u8 *__restrict b, const float *__restrict c, float *__restrict d) {
  int r = lane_id() & 15, h = lane_id() >> 4;
  float8 acc;
  for (int e = 0; e < 8; e++) acc[e] = c[acc_row(e) * 16 + r];
  acc = __builtin_amdgcn_wmma_f32_16x16x16_fp8_bf8_w32_gfx12(*(const int2v *)(a + r * 16 + 8 * h), *(const int2v *)(b + r * 16 + 8 * h), acc);
  for (int e = 0; e < 8; e++) d[acc_row(e) * 16 + r] = acc[e];
}
#endif
