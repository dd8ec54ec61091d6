// Q6_K: ql[128], four bits an element; qh[64], two bits; scales int8[16]; d f16; y = d·scale·(q-32). See
// tensor/quant/q6_k.go.
#pragma once
#include "quant.h"

struct q6_k {
  enum { block = 256, bytes = 210, element = 0 };
  DEV void get(const u8* b, u32 i, group& y) {
    int n = i >> 4, t = i >> 2 & 3, l = 8 * (i & 3);
    float d = half_at(b + 208) * (float)(i8)b[192 + (i >> 1)];
    octet low = octet_2(b + 64 * n + 32 * (t & 1) + l) >> 4 * (t >> 1) & 0x0f0f0f0f;
    octet high = octet_2(b + 128 + 32 * n + l) >> 2 * t & 0x03030303;
    octet q = low | high << 4;
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)(byte_of(q, j) - 32);
  }
};
