#include "emu.h"
// NeoX RoPE in place on [positions][heads][64]
KERNEL(32) rope(float *__restrict x, int pos, float log2_base, int heads) {
  int i = lane_id();
  float *v = x + ((long)group(1) * heads + group(0)) * 64;
  float angle = (float)(pos + group(1)) * __builtin_amdgcn_exp2f(-(float)i * log2_base / 32.0f);
  float turns = __builtin_amdgcn_fractf(angle * 0.15915494309189535f);
  float s = __builtin_amdgcn_sinf(turns), c = __builtin_amdgcn_cosf(turns), a = v[i], b = v[i + 32];
  v[i] = a * c - b * s;
  v[i + 32] = a * s + b * c;
}
KERNEL(256) silu_mul(const float *__restrict g, const float *__restrict u, float *__restrict y, int n) {
  int i = group(0) * 256 + item();
  if (i >= n) return;
  float x = g[i];
  y[i] = x / (1.0f + __builtin_amdgcn_exp2f(-1.4426950408889634f * x)) * u[i];
}
KERNEL(32) argmax(const float *__restrict x, int *__restrict out, int n) {
  float best = -__builtin_inff();
  int at = 0x7fffffff;
  for (int i = item(); i < n; i += 32)
    if (x[i] > best) best = x[i], at = i;
  u32 mask = __builtin_amdgcn_ballot_w32(best == max32(best));
  int win = 0x7fffffff;
  for (; mask; mask &= mask - 1) {
    int c = __builtin_amdgcn_readlane(at, __builtin_ctz(mask));
    win = c < win ? c : win;
  }
  if (item() == 0) *out = win;
}
// dynamic indexing of a private array needs scratch
KERNEL(64) scratch(const float *__restrict x, const int *__restrict perm, float *__restrict y, int k) {
  float v[128]; // LLVM 22 keeps one of 32 in registers
  int t = group(0) * 64 + item();
  for (int i = 0; i < 32; i++) v[i] = x[t * 32 + i];
  float s = 0;
  for (int i = 0; i < k; i++) {
    int p = perm[(item() + i) & 31];
    s += v[p];
    v[p] = -v[p];
  }
  y[t] = s;
}
KERNEL(64) histogram(const u32 *__restrict x, u32 *count, float *sum, u64 *big, u32 *ticket, int n) {
  int i = group(0) * 64 + item();
  if (i >= n) return;
  __hip_atomic_fetch_add(count + (x[i] & 7), 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  __hip_atomic_fetch_add(sum, (float)(x[i] & 15), __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  __hip_atomic_fetch_max(big, (u64)x[i] << 8 | (u32)i, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  ticket[__hip_atomic_fetch_add(ticket + n, 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT)] = i;
  u32 expected = x[i];
  __hip_atomic_compare_exchange_strong(count + 8, &expected, 77u, __ATOMIC_RELAXED, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
struct q8_1 { half d, s; s8 q[32]; };
KERNEL(128) quantize_q8_1(const float *__restrict x, q8_1 *__restrict y, int blocks) {
  int b = group(0) * 4 + (item() >> 5), lane = lane_id();
  if (b >= blocks) return;
  float v = x[b * 32 + lane], d = max32(__builtin_fabsf(v)) / 127.0f, id = d != 0 ? 1.0f / d : 0;
  int q = (int)__builtin_rintf(v * id);
  float s = sum32((float)q);
  y[b].q[lane] = (s8)q;
  if (lane == 0) y[b].d = (half)d, y[b].s = (half)(d * s);
}
// what a kernel that asks for block and grid size compiles to: hidden arguments
KERNEL(256) hidden(u32 *__restrict y) {
  u32 i = group(0) * __builtin_amdgcn_workgroup_size_x() + item();
  y[2 * i] = __builtin_amdgcn_workgroup_size_x();
  y[2 * i + 1] = __builtin_amdgcn_grid_size_x();
}
extern LDS float dynamic[];
KERNEL(64) reverse(const float *__restrict x, float *__restrict y) {
  dynamic[item()] = x[item()];
  sync();
  y[item()] = dynamic[63 - item()] + 1.0f;
}
// LDS atomics, byte and half accesses, and all three grid axes
KERNEL(64) lds_mix(u32 *__restrict y) {
  LDS u32 count[4];
  LDS u16 half_words[64];
  LDS u8 bytes[64];
  int t = item();
  if (t < 4) count[t] = 100 * t;
  half_words[t] = (u16)(t * 1001);
  bytes[t] = (u8)(t * 7);
  sync();
  u32 old = __hip_atomic_fetch_add(count + (t & 3), 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
  __hip_atomic_fetch_max(count + 3, (u32)(t * 1000), __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP);
  sync();
  u32 *out = y + ((group(2) * 2 + group(1)) * 3 + group(0)) * 64;
  out[t] = half_words[63 - t] + bytes[t ^ 1] * 65536u + (old >= 100u * (t & 3)) + count[t & 3] * 0u + (u32)group(0) + 2u * (u32)group(1) + 4u * (u32)group(2);
  if (t == 0) out[0] = count[3];
}
// a call through a pointer: s_getpc, s_swappc and s_setpc
__attribute__((device, noinline)) float twice(float x) { return x * 2.0f; }
__attribute__((device, noinline)) float third(float x) { return x / 3.0f; }
KERNEL(32) calls(const float *__restrict x, float *__restrict y, int which) {
  float v = x[item()];
  y[item()] = which ? twice(v) + third(v) : third(twice(v));
}
