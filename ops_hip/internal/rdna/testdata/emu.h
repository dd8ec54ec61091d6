// What the emulator's test kernels share: freestanding HIP for clang, without
// ROCm headers or device libraries.
#pragma once
#define KERNEL(threads) extern "C" __attribute__((global, amdgpu_flat_work_group_size(threads, threads))) void
#define FN static inline __attribute__((device, always_inline))
#define LDS __attribute__((shared))
typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long u64;
typedef _Float16 half;
typedef half half2 __attribute__((ext_vector_type(2)));
typedef half half8 __attribute__((ext_vector_type(8)));
typedef half half16 __attribute__((ext_vector_type(16)));
typedef short short8 __attribute__((ext_vector_type(8)));
typedef short short16 __attribute__((ext_vector_type(16)));
typedef float float4v __attribute__((ext_vector_type(4)));
typedef float float8 __attribute__((ext_vector_type(8)));
typedef int int2v __attribute__((ext_vector_type(2)));
typedef int int4v __attribute__((ext_vector_type(4)));
typedef int int8v __attribute__((ext_vector_type(8)));
#if defined(__gfx1200__) || defined(__gfx1201__)
#define GFX12 1
#else
#define GFX12 0
#endif
FN int lane_id() { return (int)__builtin_amdgcn_workitem_id_x() & 31; }
FN int item() { return (int)__builtin_amdgcn_workitem_id_x(); }
FN int group(int axis) {
  return axis == 0 ? (int)__builtin_amdgcn_workgroup_id_x() : axis == 1 ? (int)__builtin_amdgcn_workgroup_id_y() : (int)__builtin_amdgcn_workgroup_id_z();
}
FN void sync() {
#ifndef NO_BARRIER // the control without barriers must race
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
#endif
}
FN float as_float(int x) { return __builtin_bit_cast(float, x); }
FN int as_int(float x) { return __builtin_bit_cast(int, x); }
template <int CTRL> FN float dpp(float x) { return as_float(__builtin_amdgcn_update_dpp(0, as_int(x), CTRL, 15, 15, true)); }
// value of the same lane of the other row of 16
FN float other_row(float x) {
  return as_float(__builtin_amdgcn_permlanex16(as_int(x), as_int(x), 0x76543210, 0xfedcba98, true, false));
}
FN float sum32(float x) {
  x += dpp<0x161>(x);
  x += dpp<0x162>(x);
  x += dpp<0x164>(x);
  x += dpp<0x168>(x);
  return x + other_row(x);
}
FN float max16(float x) {
  x = __builtin_fmaxf(x, dpp<0x161>(x));
  x = __builtin_fmaxf(x, dpp<0x162>(x));
  x = __builtin_fmaxf(x, dpp<0x164>(x));
  return __builtin_fmaxf(x, dpp<0x168>(x));
}
FN float max32(float x) { x = max16(x); return __builtin_fmaxf(x, other_row(x)); }
FN float sum16(float x) {
  x += dpp<0x161>(x);
  x += dpp<0x162>(x);
  x += dpp<0x164>(x);
  return x + dpp<0x168>(x);
}
