// Q6_K: ql[128], four bits an element; qh[64], two bits; scales int8[16]; d f16; y = d·scale·(q-32). See
// tensor/quant/q6_k.go.
#pragma once
#include "quant.h"

struct q6_k {
  enum { block = 256, bytes = 210, element = 0 };
};

// Repacked row of B blocks, 210·B bytes: ql of all of them, 128·B bytes; qh, 64·B; scales and d, 18·B. 16 bytes of ql
// are the low bits of 32 elements: strip s (0..7) of a block has elements l of two runs of 16, e = 0 and 1. Next to
// each other, for each strip, are
//
//   qh       eight bytes; byte m has the two bits of element l of run e at 4·(l/8) + 2e, where m = l mod 8. The upper
//            of them is flipped, so that the six bits of an element, at the top of a byte, are the signed number 4(q-32)
//   scales   two bytes, of run 0 and run 1
//
// Packed by repack_q6_k.go.
template <> struct weight_row<q6_k> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 256 * 210); }
  DEV const u8* low(const u8* row, u32 b, u32 s) { return row + 128 * b + 16 * s; }
  DEV octet high(const u8* row, int k, u32 b, u32 s) { return octet_8(row + (u32)k / 2 + 64 * b + 8 * s); }

  // codes returns 4(q-32) of eight elements, a signed byte each: the h-th eight of run e.
  DEV octet codes(octet low, octet high, u32 h, u32 e) {
    return ((e ? low >> 2 : low << 2) & 0x3c3c3c3c) | (high << (6 - 4 * h - 2 * e) & 0xc0c0c0c0);
  }

  // scale_words returns what scales_of makes those of codes of the runs of strip s from.
  DEV u32x2 scale_words(const u8* row, int k, u32 b, u32 s) {
    const u8* p = row + (u32)k / 4 * 3 + 18 * b;
    return (u32x2){load16(p + 2 * s), load16(p + 16)};
  }
  DEV void scales_of(u32x2 words, float (&scale)[2]) {
    float d = (float)bits<half>((u16)words[1]) * 0.25f;
    scale[0] = d * (float)(i8)words[0];
    scale[1] = d * (float)(i8)(words[0] >> 8);
  }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    u32 b = g >> 5, e = g >> 3 & 1, h = g & 1, s = g >> 2 & 4 | g >> 1 & 3;
    const u8* p = row + (u32)k / 4 * 3 + 18 * b;
    float d = half_at(p + 16) * 0.25f * (float)(i8)p[2 * s + e];
    octet q = codes(octet_8(low(row, b, s) + 8 * h), high(row, k, b, s), h, e);
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
