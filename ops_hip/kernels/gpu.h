// What differs between GPUs, under one set of names. Kernels include this (and mma.h) and nothing else of the
// outside: no ROCm or CUDA headers, no device libraries.
//
// Two variants: AMD (clang -x hip) and NVIDIA (clang -x cuda, to PTX). A wave is 32 lanes on both. Blocks are
// one-dimensional and of a size that is known when the kernel is compiled; KERNEL(n) declares an entry point with
// blocks of n threads, and KERNEL_LARGE(n) one with so many registers that a SIMD holds two waves on targets with the
// small register file, for which the compiler would spill some to hold more.
//
// Rules that the compilers do not check:
//   - wave_*, shfl* and mma read other lanes: all 32 lanes of a wave must call them together;
//   - no v_permlane*: LLVM may sink it under a branch (fixed upstream in llvm-project 142962), so halves of a wave
//     are exchanged with ds_bpermute, which it never moves;
//   - LDS of a kernel is at most 48 KiB: what NVIDIA allows statically, of the 64 KiB of AMD;
//   - arrays are indexed by constants after unrolling, else they land in scratch memory, which is forbidden.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef _Float16 half;
typedef float f32x2 __attribute__((ext_vector_type(2)));
typedef float f32x4 __attribute__((ext_vector_type(4)));
typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef int i32x2 __attribute__((ext_vector_type(2)));
typedef int i32x4 __attribute__((ext_vector_type(4)));
typedef int i32x8 __attribute__((ext_vector_type(8)));
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4)));
typedef u32 u32x8 __attribute__((ext_vector_type(8)));
typedef half half2 __attribute__((ext_vector_type(2)));
typedef half half8 __attribute__((ext_vector_type(8)));
typedef half half16 __attribute__((ext_vector_type(16)));

#define UNROLL _Pragma("unroll")
#define UNROLL_2 _Pragma("unroll 2")
#define UNROLL_4 _Pragma("unroll 4")
#define NO_UNROLL _Pragma("nounroll") // where unrolling would cost registers
#define RESTRICT __restrict__

#if defined(__AMDGCN__)
#define GPU_AMD 1
#define GPU_COPIES 0 // from global memory to LDS that no register waits for
#define KERNEL(n) extern "C" __attribute__((global, amdgpu_flat_work_group_size(n, n))) void
#define KERNEL_TWICE(n) KERNEL(n)
#define KERNEL_THREE(n) KERNEL(n)
#define KERNEL_LARGE(n) extern "C" __attribute__((global, amdgpu_flat_work_group_size(n, n), amdgpu_waves_per_eu(2, 2))) void
#elif defined(__NVPTX__)
#define GPU_NVIDIA 1
#define GPU_COPIES 1
#define KERNEL(n) extern "C" __attribute__((global, launch_bounds(n))) void
#define KERNEL_LARGE(n) KERNEL(n)
#define KERNEL_TWICE(n) extern "C" __attribute__((global, launch_bounds(n, 2))) void // two blocks run at once
#define KERNEL_THREE(n) extern "C" __attribute__((global, launch_bounds(n, 3))) void // three do
#else
#error "neither an AMD nor an NVIDIA target"
#endif

#define DEV static inline __attribute__((device, always_inline))
#define DEV_METHOD inline __attribute__((device, always_inline)) // of an object
#define LDS __attribute__((shared, aligned(16)))
#define TABLE static __attribute__((device, constant)) constexpr

template <class To, class From> DEV To bits(From x) { return __builtin_bit_cast(To, x); }

#if GPU_AMD

DEV int tid() { return (int)__builtin_amdgcn_workitem_id_x(); }
DEV int block_x() { return (int)__builtin_amdgcn_workgroup_id_x(); }
DEV int block_y() { return (int)__builtin_amdgcn_workgroup_id_y(); }
DEV int block_z() { return (int)__builtin_amdgcn_workgroup_id_z(); }

// barrier waits for all threads of the block and makes their writes to LDS visible to each other, and says nothing of global
// memory: loads from there stay in flight across it, and the L0 keeps what it holds, both of which a fence would end. Threads of
// a block that talk through global memory must fence themselves. The waits are written out, since fences of LDS alone wait
// for all memory; the assembly has no operands, whose hazards the compiler would not see.
DEV void barrier() {
  __builtin_amdgcn_sched_barrier(0);
#if defined(__GFX12__)
  __asm__ volatile("s_wait_dscnt 0x0\n\ts_barrier_signal -1\n\ts_barrier_wait -1" ::: "memory");
#else
  __asm__ volatile("s_waitcnt lgkmcnt(0)\n\ts_barrier" ::: "memory");
#endif
  __builtin_amdgcn_sched_barrier(0);
}

// wave_fence orders the LDS accesses of a wave: what a lane wrote before it, the others read after it.
DEV void wave_fence() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}

// shfl returns x of lane src (0..31).
DEV int shfl(int x, int src) { return __builtin_amdgcn_ds_bpermute(src << 2, x); }

// shfl_xor returns x of lane (own ^ M), M a power of two.
template <int M> DEV int shfl_xor(int x) {
  if constexpr (M < 16)
    return __builtin_amdgcn_update_dpp(0, x, 0x160 + M, 0xf, 0xf, true); // row_xmask
  else
    return __builtin_amdgcn_ds_bpermute((tid() & 31 ^ M) << 2, x);
}

DEV float exp2_approx(float x) { return __builtin_amdgcn_exp2f(x); } // 1 ulp
DEV float log2_approx(float x) { return __builtin_amdgcn_logf(x); }  // 1 ulp
DEV float rcp(float x) { return __builtin_amdgcn_rcpf(x); }          // 1 ulp
DEV float rsqrt(float x) { return __builtin_amdgcn_rsqf(x); }        // 1 ulp

// dot4 returns c + Σ a_i·b_i over four signed bytes; dot4_us takes a as unsigned.
DEV int dot4(u32 a, u32 b, int c) { return __builtin_amdgcn_sudot4(true, (int)a, true, (int)b, c, false); }
DEV int dot4_us(u32 a, u32 b, int c) { return __builtin_amdgcn_sudot4(false, (int)a, true, (int)b, c, false); }

// lut16 looks four indices of 0..15, one a byte, up in a table of sixteen bytes. v_perm finds bytes 0 to 7. What it gives for 8
// to 15 is a sign or a constant, which the entries of the other half undo: see the constructor.
struct lut {
  u32 word[4];
  constexpr lut(const i8 (&v)[16]) : word{} {
    u8 b[16] = {};
    const int order[8] = {4, 5, 6, 7, 2, 3, 1, 0};
    for (int j = 0; j < 8; j++)
      for (int i = order[j], half = 0; half < 16; half += 8) {
        const u8* other = b + (8 - half);
        u8 undone = i > 4 ? 255 : i == 4 ? 0 : other[2 * i + 1] & 128 ? 255 : 0;
        b[half + i] = (u8)v[half + i] ^ undone;
      }
    for (int i = 0; i < 16; i++) word[i / 4] |= (u32)b[i] << 8 * (i % 4);
  }
};
DEV u32 lut16(const lut& t, u32 index) {
  return __builtin_amdgcn_perm(t.word[1], t.word[0], index) ^ __builtin_amdgcn_perm(t.word[3], t.word[2], index ^ 0x08080808);
}

// byte_pair returns bytes 2i and 2i+1 of b as two halves, 1024 more than they are.
// byte_pairs returns those bytes of low, each with that of high above it.
DEV u32 byte_pair(u32 b, int i) { return __builtin_amdgcn_perm(0x64646464, b, i ? 0x04030402 : 0x04010400); }
DEV u32 byte_pairs(u32 low, u32 high, int i) { return __builtin_amdgcn_perm(high, low, i ? 0x07030602 : 0x05010400); }

// halves rounds to two halves.
DEV half2 halves(float a, float b) { return (half2){(half)a, (half)b}; }

// atomic_add adds to an int in LDS and returns the value before.
DEV int atomic_add(int* p, int x) { return __hip_atomic_fetch_add(p, x, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_WORKGROUP); }

// pin keeps the compiler from fusing the operation that made x with one that uses it.
DEV float pin(float x) {
  __asm__ volatile("" : "+v"(x));
  return x;
}

// within returns x, or -most or most where it is beyond, and any of those for a NaN.
DEV float within(float x, float most) { return __builtin_amdgcn_fmed3f(x, -most, most); }

// fixed keeps the compiler from moving instructions across it, which lengthens the lives of registers.
DEV void fixed() { __builtin_amdgcn_sched_barrier(0); }

// all_arrived waits for all loads from global memory, once and not for one after the other.
DEV void all_arrived() {
  fixed();
#if defined(__GFX12__)
  __asm__ volatile("s_wait_loadcnt 0x0" ::: "memory");
#else
  __asm__ volatile("s_waitcnt vmcnt(0)" ::: "memory");
#endif
  fixed();
}

// uniform returns x, which all lanes of the wave agree on, so that what follows from it is computed once a wave.
DEV int uniform(int x) { return __builtin_amdgcn_readfirstlane(x); }

// any reports whether x holds in any lane.
DEV bool any(bool x) { return __builtin_amdgcn_ballot_w32(x) != 0; }

// load128_2 reads 16 bytes at an address that is aligned to 2.
DEV u32x4 load128_2(const u8* p) {
  typedef u32x4 loose __attribute__((aligned(2)));
  return *(const loose*)p;
}
DEV u32x2 load64_2(const u8* p) {
  typedef u32x2 loose __attribute__((aligned(2)));
  return *(const loose*)p;
}

// load128_whole and load64_whole do the same in memory that starts and ends at multiples of 8.
DEV u32x4 load128_whole(const u8* p) { return load128_2(p); }
DEV u32x2 load64_whole(const u8* p) { return load64_2(p); }

// byte_float returns byte k of w, which is a signed number with its sign flipped, as that number plus BYTE_ZERO.
#define BYTE_ZERO 128
DEV float byte_float(u32 w, int k) { return (float)(w >> 8 * k & 255); }

// Blocks of a launch talk through global memory so: all threads of one write, call device_release, and pass a barrier; a
// thread takes a ticket; who acts on what it says passes a barrier, calls device_acquire, and reads.
DEV void device_release() { __builtin_amdgcn_fence(__ATOMIC_RELEASE, "agent"); }
DEV void device_acquire() { __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "agent"); }

// take_ticket adds 1 to a counter in global memory and returns the value before.
DEV u32 take_ticket(u32* p) { return __hip_atomic_fetch_add(p, 1u, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT); }

// opaque keeps the compiler from computing what depends on x, which is the same for all lanes, ahead of a loop.
DEV int opaque(int x) {
  __asm__ volatile("" : "+s"(x));
  return x;
}

// in_loop keeps the compiler from widening an offset ahead of a loop, after which it would not add it to an address for nothing.
DEV void in_loop(u32& offset) { __asm__("" : "+v"(offset)); }

// A launch may begin before the one that it follows has ended, on targets that can: once all blocks of that have called
// allow_launches or ended. Blocks that come too early take the places of others unevenly, so that it is called when most of the
// work is done, or by kernels of few blocks. Before await_launches a kernel writes nothing, and reads only weights and what none of
// the launches right before it writes; kbuild lets kernels without a call begin with one.
DEV void await_launches() {}
DEV void allow_launches() {}

// weights_ahead is how many steps of a loop over weights have theirs on the way before the first is used; 0 leaves it to the
// compiler.
enum { weights_ahead = 0 };

// load128_whole reads 16 bytes, which the compiler must not read in pieces.
DEV u32x4 load128_whole(const void* p) { return *(const u32x4*)p; }

#elif GPU_NVIDIA

DEV void in_loop(u32&) {}
DEV int opaque(int x) {
  __asm__ volatile("" : "+r"(x));
  return x;
}
#if __CUDA_ARCH__ >= 900
DEV void await_launches() { __asm__ volatile("griddepcontrol.wait;" ::: "memory"); }
DEV void allow_launches() { __asm__ volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
#else
DEV void await_launches() {}
DEV void allow_launches() {}
#endif
enum { weights_ahead = 2 }; // more take so many registers that fewer blocks run
DEV u32x4 load128_whole(const void* p) {
  u32x4 v;
  __asm__ volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "l"(p));
  return v;
}

// Copies from global memory to LDS that no register waits for, of 16 and of 8 bytes, aligned so. A wave has its copies in
// groups; copies_done<N> waits for all of its groups but the last N. lds_address is what they, lds64 and lds128 take.
DEV u32 lds_address(const void* p) {
  u64 a;
  __asm__("cvta.to.shared.u64 %0, %1;" : "=l"(a) : "l"(p));
  return (u32)a;
}
DEV void copy16(u32 lds, const void* p) { __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(lds), "l"(p) : "memory"); }
DEV void copy8(u32 lds, const void* p) { __asm__ volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(lds), "l"(p) : "memory"); }
DEV void copies_end() { __asm__ volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEV void copies_done() {
  __asm__ volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
  __nvvm_bar_warp_sync(0xffffffff);
}
DEV u32x4 lds128(u32 lds) {
  u32x4 v;
  __asm__ volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(lds) : "memory");
  return v;
}
DEV u32x2 lds64(u32 lds) {
  u32x2 v;
  __asm__ volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v[0]), "=r"(v[1]) : "r"(lds) : "memory");
  return v;
}
DEV int tid() { return __nvvm_read_ptx_sreg_tid_x(); }
DEV int block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEV int block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEV int block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEV void barrier() { __nvvm_bar_sync(0); }
DEV void wave_fence() { __nvvm_bar_warp_sync(0xffffffff); }
DEV int shfl(int x, int src) { return __nvvm_shfl_sync_idx_i32(0xffffffff, x, src, 31); }
template <int M> DEV int shfl_xor(int x) { return __nvvm_shfl_sync_bfly_i32(0xffffffff, x, M, 31); }
DEV float exp2_approx(float x) { return __nvvm_ex2_approx_f(x); }
DEV float log2_approx(float x) { return __nvvm_lg2_approx_f(x); }
DEV float rcp(float x) { return __nvvm_rcp_rn_f(x); }
DEV float rsqrt(float x) { return __nvvm_rsqrt_approx_f(x); }
DEV int dot4(u32 a, u32 b, int c) {
  int d;
  __asm__("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
DEV int dot4_us(u32 a, u32 b, int c) {
  int d;
  __asm__("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
struct lut {
  u32 word[4];
  constexpr lut(const i8 (&v)[16]) : word{} {
    for (int i = 0; i < 16; i++) word[i / 4] |= (u32)(u8)v[i] << 8 * (i % 4);
  }
};
DEV u32 prmt(u32 a, u32 b, u32 nibbles) {
  u32 y;
  __asm__("prmt.b32 %0, %1, %2, %3;" : "=r"(y) : "r"(a), "r"(b), "r"(nibbles));
  return y;
}
DEV u32 lut16(const lut& t, u32 index) {
  u32 n = index | index >> 4;
  n = (n & 255) | (n >> 8 & 0xff00);
  return prmt(prmt(t.word[0], t.word[1], n & 0x7777), prmt(t.word[2], t.word[3], n & 0x7777), 0x3210 | (n >> 1 & 0x4444));
}
DEV u32 byte_pair(u32 b, int i) { return prmt(b, 0x64646464, i ? 0x4342 : 0x4140); }
DEV u32 byte_pairs(u32 low, u32 high, int i) { return prmt(low, high, i ? 0x7362 : 0x5140); }
DEV half2 halves(float a, float b) {
  u32 y;
  __asm__("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(b), "f"(a));
  return bits<half2>(y);
}
DEV int atomic_add(int* p, int x) { return __atomic_fetch_add(p, x, __ATOMIC_RELAXED); }
DEV float pin(float x) {
  __asm__ volatile("" : "+f"(x));
  return x;
}
DEV float within(float x, float most) { return __builtin_fminf(__builtin_fmaxf(x, -most), most); }
DEV int uniform(int x) { return x; }
DEV bool any(bool x) { return __nvvm_vote_any_sync(0xffffffff, x); }
DEV void fixed() {}
DEV void all_arrived() {}

// Loads must be aligned here: words around the bytes are read and shifted, none outside of them but for the two before.
DEV u32x4 load128_2(const u8* p) {
  bool odd = (u64)p & 2;
  const u32* q = (const u32*)(p - (odd ? 2 : 0));
  u32 w[5] = {q[0], q[1], q[2], q[3], *(const u16*)(p + 14)};
  u32x4 v;
  UNROLL for (int i = 0; i < 4; i++) v[i] = odd ? w[i] >> 16 | w[i + 1] << 16 : w[i];
  return v;
}
DEV u32x2 load64_2(const u8* p) {
  bool odd = (u64)p & 2;
  const u32* q = (const u32*)(p - (odd ? 2 : 0));
  u32 w[3] = {q[0], q[1], *(const u16*)(p + 6)};
  u32x2 v;
  UNROLL for (int i = 0; i < 2; i++) v[i] = odd ? w[i] >> 16 | w[i + 1] << 16 : w[i];
  return v;
}

// Conversions of integers are slow here: the byte becomes the end of a mantissa.
#define BYTE_ZERO 0
DEV float byte_float(u32 w, int k) { return bits<float>(prmt(w, 0x4b000000, 0x7540 | k)) - (0x1p23f + 128); }

// word_at returns the 32 bits that start at byte `at`, which is even and below 8, of the words w.
DEV u32 word_at(const u32* w, u32 at) {
  u32 y, low = at & 4 ? w[1] : w[0], high = at & 4 ? w[2] : w[1];
  __asm__("shf.r.clamp.b32 %0, %1, %2, %3;" : "=r"(y) : "r"(low), "r"(high), "r"(8 * (at & 2)));
  return y;
}
DEV u32x4 load128_whole(const u8* p) {
  const u32 at = (u64)p & 7;
  const u32x2* q = (const u32x2*)(p - at);
  u32x2 a = q[0], b = q[1], c = q[at ? 2 : 1];
  u32 w[6] = {a[0], a[1], b[0], b[1], c[0], c[1]};
  return (u32x4){word_at(w, at), word_at(w + 1, at), word_at(w + 2, at), word_at(w + 3, at)};
}
DEV u32x2 load64_whole(const u8* p) {
  const u32 at = (u64)p & 7;
  const u32x2* q = (const u32x2*)(p - at);
  u32x2 a = q[0], b = q[at ? 1 : 0];
  u32 w[4] = {a[0], a[1], b[0], b[1]};
  return (u32x2){word_at(w, at), word_at(w + 1, at)};
}
DEV void device_release() { __nvvm_membar_gl(); }
DEV void device_acquire() { __nvvm_membar_gl(); }
DEV u32 take_ticket(u32* p) { return __atomic_fetch_add(p, 1u, __ATOMIC_RELAXED); }
DEV u32 wave_max(u32 x) {
  u32 y;
  __asm__ volatile("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(y) : "r"(x));
  return y;
}

#endif

DEV int lane() { return tid() & 31; }
DEV int wave() { return tid() >> 5; }

DEV float uniform(float x) { return bits<float>(uniform(bits<int>(x))); }
DEV float shfl(float x, int src) { return bits<float>(shfl(bits<int>(x), src)); }
template <int M> DEV float shfl_xor(float x) { return bits<float>(shfl_xor<M>(bits<int>(x))); }

// lanes_sum returns the sum of x over N neighbouring lanes (a power of two), in all of them, as a tree.
template <int N> DEV float lanes_sum(float x) {
  if constexpr (N > 1) x += shfl_xor<1>(x);
  if constexpr (N > 2) x += shfl_xor<2>(x);
  if constexpr (N > 4) x += shfl_xor<4>(x);
  if constexpr (N > 8) x += shfl_xor<8>(x);
  if constexpr (N > 16) x += shfl_xor<16>(x);
  return x;
}
template <int N> DEV float lanes_max(float x) {
  if constexpr (N > 1) x = __builtin_fmaxf(x, shfl_xor<1>(x));
  if constexpr (N > 2) x = __builtin_fmaxf(x, shfl_xor<2>(x));
  if constexpr (N > 4) x = __builtin_fmaxf(x, shfl_xor<4>(x));
  if constexpr (N > 8) x = __builtin_fmaxf(x, shfl_xor<8>(x));
  if constexpr (N > 16) x = __builtin_fmaxf(x, shfl_xor<16>(x));
  return x;
}
DEV float wave_sum(float x) { return lanes_sum<32>(x); }
DEV float wave_max(float x) { return lanes_max<32>(x); }

// wave_max and wave_min of unsigned numbers return the largest and the smallest of the wave, in all lanes.
#if GPU_AMD
template <int M> DEV u32 max_across(u32 x) {
  u32 y = (u32)shfl_xor<M>((int)x);
  return x > y ? x : y;
}
DEV u32 wave_max(u32 x) { return max_across<16>(max_across<8>(max_across<4>(max_across<2>(max_across<1>(x))))); }
#endif
DEV u32 wave_min(u32 x) { return ~wave_max(~x); }

// block_sum returns the sum of x over a block of 32·WAVES threads, in all of them. part is LDS that nothing else
// uses between the barrier before the call and the one after it.
template <int WAVES> DEV float block_sum(float x, float* part) {
  x = wave_sum(x);
  if (lane() == 0) part[wave()] = x;
  barrier();
  x = part[0];
  UNROLL for (int i = 1; i < WAVES; i++) x += part[i];
  return x;
}

// last_block reports, to all threads of a block, whether all other blocks of the launch have called it already: what they wrote
// to global memory before is visible then. counter is 0 before the launch, and after it again; last is LDS that nothing else
// uses. All threads of the block call it.
DEV bool last_block(u32* counter, u32 blocks, int* last) {
  device_release();
  barrier();
  if (tid() == 0) {
    bool all = take_ticket(counter) == blocks - 1;
    if (all) *counter = 0;
    *last = all;
  }
  barrier();
  if (!*last) return false;
  device_acquire();
  return true;
}

// Loads of 32 bits at addresses that are aligned to 1 and to 2 bytes.
DEV u32 load32_1(const u8* p) { return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24; }
DEV u32 load32_2(const u8* p) { return ((const u16*)p)[0] | (u32)((const u16*)p)[1] << 16; }
DEV u32 load32(const u8* p) { return *(const u32*)p; }
DEV u32 load16(const u8* p) { return *(const u16*)p; }

// load128_4 reads 16 bytes at an address that is aligned to 4.
DEV u32x4 load128_4(const u8* p) {
  typedef u32x4 loose __attribute__((aligned(4)));
  return *(const loose*)p;
}

// half_at and bhalf_at return the number at p, which is aligned to 2 bytes.
DEV float half_at(const void* p) { return (float)*(const half*)p; }
DEV float bhalf_at(const void* p) { return bits<float>((u32) * (const u16*)p << 16); }

// to_bhalf rounds to bfloat16, half to even; NaN stays NaN.
DEV u16 to_bhalf(float x) {
  u32 b = bits<u32>(x);
  if (x != x) return b >> 16 | 0x40;
  return (b + 0x7fff + (b >> 16 & 1)) >> 16;
}
