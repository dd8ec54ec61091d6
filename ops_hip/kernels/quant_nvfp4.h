// NVFP4: d UE4M3[4], one for 16 elements; qs[32], byte j of a sub-block holding elements j and j+8; y = d/2·(doubled
// E2M1). See tensor/quant/nvfp4.go.
#pragma once
#include "quant_fp4.h"

struct nvfp4 {
  enum { block = 64, bytes = 36, element = 0 };
};

// Repacked row of B blocks: nibbles of all of them as in quant_nibbles.h, 32·B bytes; d, 4·B. Packed by repack_nvfp4.go.
template <> struct weight_row<nvfp4> {
  DEV i64 bytes(int k) { return packed_bytes((i64)k / 64 * 36); }

  // value returns half the value of an unsigned E4M3 number: its bits are a float's, but for the bias of the exponent. 0x7f
  // counts as 0.
  DEV float value(u32 x) { return (x & 255) == 127 ? 0.0f : bits<float>((x & 127) << 20) * 0x1p119f; }
  // scales returns two codes of scales, for 32 elements.
  DEV u32 scales(const u8* row, int k, u32 b) { return load16(row + (u32)k / 2 + 2 * b); }
  DEV void get(const u8* row, u32 g, int k, group& y) {
    float d = value(scales(row, k, g >> 2) >> 4 * (g & 2));
    octet q = fp4_values(nibbles_at(row, g));
    UNROLL for (int j = 0; j < 8; j++) y[j] = d * (float)sbyte_of(q, j);
  }
};
