// What the structs of weight types share, and access to rows of them.
//
// A struct Q of a type (quant_<type>.h) has
//
//   block, bytes     elements and bytes of a block, as in package tensor/quant, whose definitions are the reference
//   element          true for types without blocks, which come in rows of any length; their block is 8 elements
//   get(b, i, y)     elements 8i to 8i+7 of the block at b, dequantized to float
//   at(b, i)         element i of the block at b; only for types that a KV cache or a short row needs
//
// Loads follow the alignment that blocks have in a file: 1 byte for MXFP4, 2 bytes for blocks of 18, 22, 34, 50,
// 54, 66, 74, 82, 98, 110 and 210 bytes, 4 or more for the others.
//
// Weights of some types are repacked while they are loaded, so that lanes read aligned vectors: rows then lie as
// weight_row<Q> says. A repacked row is planes, one part of all its blocks after the other, and starts at a multiple
// of 16 bytes. What has Q in a cache is never repacked.
#pragma once
#include "gpu.h"

typedef float group[8]; // eight consecutive elements

// octet is eight bytes.
typedef u32x2 octet;
DEV octet octet_1(const u8* p) { return (octet){load32_1(p), load32_1(p + 4)}; }
DEV octet octet_2(const u8* p) { return (octet){load32_2(p), load32_2(p + 4)}; }
DEV octet octet_4(const u8* p) { return (octet){load32(p), load32(p + 4)}; }
DEV octet octet_8(const u8* p) { return *(const octet*)p; }
DEV int byte_of(octet w, int j) { return w[j >> 2] >> 8 * (j & 3) & 255; }
DEV int sbyte_of(octet w, int j) { return (int)(w[j >> 2] << (24 - 8 * (j & 3))) >> 24; }

// nibbles returns elements 8i to 8i+7 of 32 whose nibbles lie in 16 bytes: byte j holds elements j and j+16. w is
// the octet at byte 8(i&1).
DEV octet nibbles(octet w, u32 i) { return w >> (4 * (i >> 1)) & 0x0f0f0f0f; }

// row_bytes returns the size of a row of k elements.
template <class Q> DEV i64 row_bytes(int k) { return (i64)(k / (Q::element ? 1 : Q::block)) * (Q::bytes / (Q::element ? Q::block : 1)); }

// get_group writes elements 8g to 8g+7 of a row of k; elements past the end, which only types without blocks
// have, are 0.
template <class Q> DEV void get_group(const u8* row, u32 g, int k, group& y) {
  if constexpr (Q::element) {
    if (k % 8) { // rows are not aligned, and this group may be short
      UNROLL for (int j = 0; j < 8; j++) y[j] = (int)(8 * g) + j < k ? Q::at(row, 8 * g + j) : 0.0f;
      return;
    }
  }
  constexpr int n = Q::block / 8;
  Q::get(row + (i64)(g / n) * Q::bytes, g % n, y);
}

// weight_row<Q> is how a row of k weights lies in memory: as in files, unless the header of Q says otherwise. Go repacks
// rows in repack_<type>.go.
//
//   bytes(k)           size of a row
//   get(row, g, k, y)  elements 8g to 8g+7, as get_group
template <class Q> struct weight_row {
  DEV i64 bytes(int k) { return row_bytes<Q>(k); }
  DEV void get(const u8* row, u32 g, int k, group& y) { get_group<Q>(row, g, k, y); }
};

// packed_bytes rounds the size of a repacked row up to what keeps the next one aligned.
DEV i64 packed_bytes(i64 n) { return (n + 15) & ~(i64)15; }

// get_floats writes x[8g] to x[8g+7] of a row of k floats, 0 past the end. short_rows says that k need not be a
// multiple of 8.
template <bool short_rows> DEV void get_floats(const float* x, u32 g, int k, group& y) {
  if (short_rows && k % 8) {
    UNROLL for (int j = 0; j < 8; j++) y[j] = (int)(8 * g) + j < k ? x[8 * g + j] : 0.0f;
    return;
  }
  f32x4 a = *(const f32x4*)(x + 8 * g), b = *(const f32x4*)(x + 8 * g + 4);
  UNROLL for (int j = 0; j < 4; j++) y[j] = a[j], y[j + 4] = b[j];
}

// dot8 returns c + Σ a_j·b_j, added in order with fused multiply-adds.
DEV float dot8(const group& a, const group& b, float c) {
  UNROLL for (int j = 0; j < 8; j++) c = __builtin_fmaf(a[j], b[j], c);
  return c;
}
