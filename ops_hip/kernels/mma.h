// Matrix instructions on 16x16 tiles under one set of names: acc += A·B with A of 16 rows and B of 16 columns, K = 16
// for halves (FragA, FragB, Acc) and bfloat16 (FragAb, FragBb, Acc), K = 32 for signed bytes (FragA8, FragB8, Acc8).
//
// Where a lane's elements lie differs between generations and is known to this file alone. With lane l = 16h + r, or
// 4g + t on NVIDIA:
//
//                 gfx11                     gfx12                  NVIDIA (two m16n8 instructions)
//   A, 16 bits    row r, K 0..15, in both   row r, K 8h..8h+7      rows g and g+8, K 2t, 2t+1, 2t+8, 2t+9
//                 halves of the wave
//   B, 16 bits    column r, likewise        column r, K 8h..8h+7   columns g and g+8, K as for A
//   Acc element i row 2i+h, column r        row 8h+i, column r     row g + 8(i/2 & 1), column 2t + (i&1) + 8(i/4)
//
// Sources: GPUOpen's articles on the matrix cores of RDNA 3 and 4; the PTX ISA. ../testdata/fragments/mma_test.hip
// checks each element.
// Accumulators are float (int for bytes); the order of additions within a tile is the hardware's. All 32 lanes of a
// wave must be active. Pointers to LDS must be aligned to 16 bytes and strides be multiples of 8 halves or 16 bytes.
#pragma once
#include "gpu.h"

typedef f32x8 Acc;
typedef i32x8 Acc8;

// bhalf is the bits of a bfloat16, a type of its own so that overloads tell it from u16.
struct bhalf {
  u16 bits;
};
typedef short short8 __attribute__((ext_vector_type(8)));
typedef short short16 __attribute__((ext_vector_type(16)));

#if GPU_AMD && defined(__GFX11__)

typedef half16 FragA, FragB;
typedef short16 FragAb, FragBb;
struct FragA8 {
  i32x4 k[2];
};
typedef FragA8 FragB8;

DEV int acc_row(int i) { return 2 * i + (lane() >> 4); }
DEV int acc_col(int) { return lane() & 15; }

// load_a reads a tile whose row r is the 16 halves at p + r·stride.
DEV FragA load_a(const half* p, int stride) {
  p += (lane() & 15) * stride;
  half8 lo = *(const half8*)p, hi = *(const half8*)(p + 8);
  return __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
// load_b reads a tile whose column c is the 16 halves at p + c·stride.
DEV FragB load_b(const half* p, int stride) { return load_a(p, stride); }
DEV FragAb load_a(const bhalf* p, int stride) { return bits<short16>(load_a((const half*)p, stride)); }
DEV FragBb load_b(const bhalf* p, int stride) { return load_a(p, stride); }
DEV FragA8 load_a8(const i8* p, int stride) {
  p += (lane() & 15) * stride;
  return {{*(const i32x4*)p, *(const i32x4*)(p + 16)}};
}
DEV FragB8 load_b8(const i8* p, int stride) { return load_a8(p, stride); }
DEV Acc mma(Acc c, FragA a, FragB b) { return __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a, b, c); }
DEV Acc mma(Acc c, FragAb a, FragBb b) { return __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a, b, c); }
DEV Acc8 mma(Acc8 c, FragA8 a, FragB8 b) {
  c = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.k[0], true, b.k[0], c, false);
  return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.k[1], true, b.k[1], c, false);
}

#elif GPU_AMD && defined(__GFX12__)

typedef half8 FragA, FragB;
typedef short8 FragAb, FragBb;
struct FragA8 {
  i32x2 k[2];
};
typedef FragA8 FragB8;

DEV int acc_row(int i) { return i + 8 * (lane() >> 4); }
DEV int acc_col(int) { return lane() & 15; }
DEV FragA load_a(const half* p, int stride) { return *(const half8*)(p + (lane() & 15) * stride + 8 * (lane() >> 4)); }
DEV FragB load_b(const half* p, int stride) { return load_a(p, stride); }
DEV FragAb load_a(const bhalf* p, int stride) { return bits<short8>(load_a((const half*)p, stride)); }
DEV FragBb load_b(const bhalf* p, int stride) { return load_a(p, stride); }
DEV FragA8 load_a8(const i8* p, int stride) {
  p += (lane() & 15) * stride + 8 * (lane() >> 4);
  return {{*(const i32x2*)p, *(const i32x2*)(p + 16)}};
}
DEV FragB8 load_b8(const i8* p, int stride) { return load_a8(p, stride); }
DEV Acc mma(Acc c, FragA a, FragB b) { return __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a, b, c); }
DEV Acc mma(Acc c, FragAb a, FragBb b) { return __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(a, b, c); }
DEV Acc8 mma(Acc8 c, FragA8 a, FragB8 b) {
  c = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.k[0], true, b.k[0], c, false);
  return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.k[1], true, b.k[1], c, false);
}

#elif GPU_NVIDIA

// Fragments are four words; the types differ so that mma tells them apart. Those of B are in the order that puts the two of an
// instruction, columns 0..7 and then 8..15, next to each other, as its registers must be.
template <class T> struct FragOfA {
  u32x4 word;
};
template <class T> struct FragOfB {
  u32x4 word;
};
typedef FragOfA<half> FragA;
typedef FragOfB<half> FragB;
typedef FragOfA<bhalf> FragAb;
typedef FragOfB<bhalf> FragBb;
typedef FragOfA<i8> FragA8;
typedef FragOfB<i8> FragB8;

DEV int acc_row(int i) { return (lane() >> 2) + 8 * (i >> 1 & 1); }
DEV int acc_col(int i) { return 2 * (lane() & 3) + (i & 1) + 8 * (i >> 2); }
// load_words reads words (row, word) of two rows of a tile with rows of `stride` bytes: (g, t), (g+8, t), (g, t+4),
// (g+8, t+4). Four bytes are two halves, or four of K = 32 bytes.
DEV u32x4 load_words(const void* tile, int stride) {
  const u8* p = (const u8*)tile + (lane() >> 2) * stride + 4 * (lane() & 3);
  return (u32x4){load32(p), load32(p + 8 * stride), load32(p + 16), load32(p + 8 * stride + 16)};
}
DEV FragA load_a(const half* p, int stride) { return {load_words(p, 2 * stride)}; }
DEV FragB load_b(const half* p, int stride) { return {load_words(p, 2 * stride).xzyw}; }
DEV FragAb load_a(const bhalf* p, int stride) { return {load_words(p, 2 * stride)}; }
DEV FragBb load_b(const bhalf* p, int stride) { return {load_words(p, 2 * stride).xzyw}; }
DEV FragA8 load_a8(const i8* p, int stride) { return {load_words(p, stride)}; }
DEV FragB8 load_b8(const i8* p, int stride) { return {load_words(p, stride).xzyw}; }

// MMA_PTX defines mma for one type: two instructions, for columns 0..7 and 8..15.
#define MMA_PTX(C, element, constraint, A, B, instruction)                                                                 \
  DEV C mma(C c, A a, B b) {                                                                                               \
    UNROLL for (int n = 0; n < 2; n++) {                                                                                   \
      element c0 = c[4 * n], c1 = c[4 * n + 1], c2 = c[4 * n + 2], c3 = c[4 * n + 3];                                      \
      __asm__("mma.sync.aligned." instruction " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                     \
              : "+" constraint(c0), "+" constraint(c1), "+" constraint(c2), "+" constraint(c3)                             \
              : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[2 * n]), "r"(b.word[2 * n + 1])); \
      c[4 * n] = c0, c[4 * n + 1] = c1, c[4 * n + 2] = c2, c[4 * n + 3] = c3;                                              \
    }                                                                                                                      \
    return c;                                                                                                              \
  }
MMA_PTX(Acc, float, "f", FragA, FragB, "m16n8k16.row.col.f32.f16.f16.f32")
MMA_PTX(Acc, float, "f", FragAb, FragBb, "m16n8k16.row.col.f32.bf16.bf16.f32")
MMA_PTX(Acc8, int, "r", FragA8, FragB8, "m16n8k32.row.col.s32.s8.s8.s32")

// AccHalf is elements 0 to 3 of an Acc, of 8 columns of B, which are the first two words of a FragB.
typedef f32x4 AccHalf;
DEV AccHalf mma(AccHalf c, FragA a, u32x2 b) {
  __asm__("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b[0]), "r"(b[1]));
  return c;
}

// The same without what it is added to.
DEV AccHalf mma(FragA a, u32x2 b) {
  AccHalf c;
  float c0, c1, c2, c3;
  __asm__("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
          : "=f"(c0), "=f"(c1), "=f"(c2), "=f"(c3)
          : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b[0]), "r"(b[1]), "f"(0.0f));
  c[0] = c0, c[1] = c1, c[2] = c2, c[3] = c3;
  return c;
}

// ldmatrix returns four tiles of 8 rows by 16 bytes, of which lane l gives the address of row l mod 8 of tile l/8, less `at`, which
// must be known when the kernel is compiled. ldmatrix_transposed does the same, and transposes each.
DEV u32x4 ldmatrix(u32 lds, int at = 0) {
  u32x4 w;
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4+%5];"
                   : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                   : "r"(lds), "i"(at)
                   : "memory");
  return w;
}
DEV u32x4 ldmatrix_transposed(u32 lds, int at) {
  u32x4 w;
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4+%5];"
                   : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                   : "r"(lds), "i"(at)
                   : "memory");
  return w;
}

#else
#error "no matrix instructions known for this target"
#endif

// acc_row_max replaces each element by the largest of its row of the tile.
DEV Acc acc_row_max(Acc c) {
#if GPU_NVIDIA
  UNROLL for (int i = 0; i < 4; i += 2) {
    float m = __builtin_fmaxf(__builtin_fmaxf(c[i], c[i + 1]), __builtin_fmaxf(c[i + 4], c[i + 5]));
    c[i] = c[i + 1] = c[i + 4] = c[i + 5] = lanes_max<4>(m);
  }
#else
  UNROLL for (int i = 0; i < 8; i++) c[i] = lanes_max<16>(c[i]);
#endif
  return c;
}

// acc_row_sum replaces each element by the sum of its row of the tile.
DEV Acc acc_row_sum(Acc c) {
#if GPU_NVIDIA
  UNROLL for (int i = 0; i < 4; i += 2) {
    float s = (c[i] + c[i + 1]) + (c[i + 4] + c[i + 5]);
    c[i] = c[i + 1] = c[i + 4] = c[i + 5] = lanes_sum<4>(s);
  }
#else
  UNROLL for (int i = 0; i < 8; i++) c[i] = lanes_sum<16>(c[i]);
#endif
  return c;
}

DEV float rounded(half, float v) { return (float)(half)v; }
DEV float rounded(bhalf, float v) { return bits<float>((u32)to_bhalf(v) << 16); }

// put8 stores eight floats at p, which is aligned to 16 bytes, rounded half to even.
DEV void put8(half* p, const float (&y)[8]) {
  half8 h;
  UNROLL for (int j = 0; j < 8; j++) h[j] = (half)y[j];
  *(half8*)p = h;
}
DEV void put8(bhalf* p, const float (&y)[8]) {
  short8 h;
  UNROLL for (int j = 0; j < 8; j++) h[j] = (short)to_bhalf(y[j]);
  *(short8*)p = h;
}
