// Loads of consecutive elements of rows of a cache, and their values: cached<T, N> has N elements of type T, of which the
// first is a multiple of N.
//
//   words         registers that it takes
//   load(p, row, i)  N elements from i on of the row that starts at byte `row` from p, which is the same for all lanes; by
//                 loads of 16 bytes where N allows
//   get(e, y)     the values of elements 4e to 4e+3 of them
//   raw(e, y), scale()  if scaled: the same is scale()·(y - zero), exactly, with one scale
#pragma once
#include "quant_bf16.h"
#include "quant_f16.h"
#include "quant_f32.h"
#include "quant_q8_0.h"

#define DEV_METHOD inline __attribute__((device, always_inline))

template <class T, int N> struct cached;

template <int N> struct cached<f16, N> {
  enum { words = N / 2, scaled = 0, zero = 0 };
  half8 v[N / 8];
  DEV_METHOD void load(const u8* p, u32 row, u32 i) {
    UNROLL for (int k = 0; k < N / 8; k++) v[k] = *(const half8*)(p + (row + 2 * i) + 16 * k);
  }
  DEV_METHOD void get(int e, float* y) const {
    UNROLL for (int k = 0; k < 4; k++) y[k] = (float)v[e / 2][4 * (e % 2) + k];
  }
};

template <int N> struct cached<bf16, N> {
  enum { words = N / 2, scaled = 0, zero = 0 };
  u32x4 v[N / 8];
  DEV_METHOD void load(const u8* p, u32 row, u32 i) {
    UNROLL for (int k = 0; k < N / 8; k++) v[k] = *(const u32x4*)(p + (row + 2 * i) + 16 * k);
  }
  DEV_METHOD void get(int e, float* y) const {
    UNROLL for (int k = 0; k < 2; k++) {
      u32 w = v[e / 2][2 * (e % 2) + k];
      y[2 * k] = bits<float>(w << 16), y[2 * k + 1] = bits<float>(w & 0xffff0000);
    }
  }
};

template <int N> struct cached<f32, N> {
  enum { words = N, scaled = 0, zero = 0 };
  f32x4 v[N / 4];
  DEV_METHOD void load(const u8* p, u32 row, u32 i) {
    UNROLL for (int k = 0; k < N / 4; k++) v[k] = *(const f32x4*)(p + (row + 4 * i) + 16 * k);
  }
  DEV_METHOD void get(int e, float* y) const {
    UNROLL for (int k = 0; k < 4; k++) y[k] = v[e][k];
  }
};

// N is 8, 16 or 32.
template <int N> struct cached<q8_0, N> {
  enum { words = N / 4 + 1, scaled = 1, zero = BYTE_ZERO };
  u32 v[N / 4];
  half d;
  DEV_METHOD void load(const u8* p, u32 row, u32 i) {
    row += (i >> 5) * q8_0::bytes;
    d = *(const half*)(p + row);
    const u8* codes = p + (N < 32 ? row + (i & 31) : row);
    if constexpr (N >= 16) {
      UNROLL for (int j = 0; j < N / 16; j++) {
        u32x4 w = load128_whole(codes + 2 + 16 * j);
        UNROLL for (int k = 0; k < 4; k++) v[4 * j + k] = w[k];
      }
    } else {
      u32x2 w = load64_whole(codes + 2);
      UNROLL for (int k = 0; k < 2; k++) v[k] = w[k];
    }
  }
  // d·(code + zero) - zero·d is exact but for one rounding.
  DEV_METHOD void get(int e, float* y) const {
    float s = (float)d, off = -zero * s;
    raw(e, y);
    UNROLL for (int k = 0; k < 4; k++) y[k] = __builtin_fmaf(y[k], s, off);
  }
  DEV_METHOD void raw(int e, float* y) const {
    UNROLL for (int k = 0; k < 4; k++) y[k] = byte_float(v[e] ^ 0x80808080, k);
  }
  DEV_METHOD float scale() const { return (float)d; }
};
