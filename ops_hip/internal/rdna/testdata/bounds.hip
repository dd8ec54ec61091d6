#include "emu.h"
// Kernels of which it is known what bounds them.
// n loads, each of which says where the next one is
KERNEL(32) chase(const int *__restrict next, int *__restrict out, int n) {
  int at = lane_id();
  for (int i = 0; i < n; i++) at = next[at];
  out[group(0) * 32 + lane_id()] = at;
}
// a sum of n rows of 128 floats, one load in flight; x holds rows for each block
template <int PAD> FN void sum_rows(const float4v *__restrict x, float4v *__restrict out, int n) {
  LDS float pad[PAD];
  x += (long)group(0) * n * 32 + lane_id();
  float4v s = {};
#pragma clang loop unroll(disable)
  for (int i = 0; i < n; i++) {
    s += x[i * 32];
    __asm__ volatile("" : "+v"(s) : : "memory");
  }
  if (PAD > 1) {
    pad[lane_id() * (PAD / 32)] = s.x;
    sync();
    s.x = pad[(lane_id() ^ 1) * (PAD / 32)];
  }
  out[group(0) * 32 + lane_id()] = s;
}
KERNEL(32) fed(const float4v *__restrict x, float4v *__restrict out, int n) { sum_rows<1>(x, out, n); }
// the same with so much LDS that two waves run at once on a workgroup processor
KERNEL(32) starved(const float4v *__restrict x, float4v *__restrict out, int n) { sum_rows<16384>(x, out, n); }
// n loads of 16 bytes a lane from LDS, with an addition for each dword
KERNEL(128) lds_sum(float *__restrict out, int n) {
  LDS float4v x[256];
  x[item()] = (float4v)(1.0f);
  x[item() + 128] = (float4v)(2.0f);
  sync();
  float4v s = {};
#pragma clang loop unroll(disable)
  for (int i = 0; i < n; i++) {
    s += x[(item() + i) & 255];
    __asm__ volatile("" : : : "memory");
  }
  out[group(0) * 128 + item()] = s.x + s.y + s.z + s.w;
}
// n times a matrix instruction and 24 others of the vector units
KERNEL(32) mixed(float *__restrict out, int n) {
  float8 acc = {}, a = {};
#if GFX12
  half8 f = (half8)((half)1);
#else
  half16 f = (half16)((half)1);
#endif
  float by = lane_id();
#pragma clang loop unroll(disable)
  for (int i = 0; i < n; i++) {
#if GFX12
    acc = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(f, f, acc);
#else
    acc = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(f, f, acc);
#endif
#pragma unroll
    for (int k = 0; k < 24; k++) __asm__ volatile("v_mul_f32 %0, %1, %0" : "+v"(a[k & 7]) : "v"(by));
  }
  float s = 0;
#pragma unroll
  for (int k = 0; k < 8; k++) s += acc[k] + a[k];
  out[group(0) * 32 + lane_id()] = s;
}
