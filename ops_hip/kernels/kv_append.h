// What is written to the paged cache, and where: see kv_append.hip.
#pragma once
#include "math.h"

// cache_row returns the row of token t, or -1.
DEV i64 cache_row(const int* pos, const int* seq, const int* pages, int t, int page, int per_seq) {
  int s = seq[t], p = pos[t];
  return s < 0 ? -1 : (i64)pages[(i64)s * per_seq + p / page] * page + p % page;
}

DEV void put(float* cache, i64 i, float v) { cache[i] = v; }
DEV void put(half* cache, i64 i, float v) { cache[i] = (half)v; }
DEV void put(u16* cache, i64 i, float v) { cache[i] = to_bhalf(v); }

// put_q8_0 writes the block at b, of which each lane of the wave has an element.
DEV void put_q8_0(u8* b, float v) {
  float d = wave_max(__builtin_fabsf(v)) / 127.0f;
  float id = d != 0 ? 1.0f / d : 0;
  float q = pin(v * id), r = __builtin_truncf(q);
  r += __builtin_fabsf(q - r) >= 0.5f ? __builtin_copysignf(1.0f, q) : 0;
  r = __builtin_fminf(__builtin_fmaxf(r, -127.0f), 127.0f); // 1/d is infinite for subnormal d
  if (q != q) r = 0;                                        // 0 times infinity
  b[2 + lane()] = (u8)(int)r;
  if (lane() == 0) *(half*)b = (half)__builtin_fminf(d, 65504.0f);
}
