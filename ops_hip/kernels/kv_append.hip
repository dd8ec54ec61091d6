// cache[place(t)][i] = x[t][i] in the type of the cache, where place(t) = pages[seq[t]][pos[t]/page]·page +
// pos[t]%page; tokens with seq < 0 are not stored. x [tokens, n], n = KV heads · head dim; cache [pages·page, n];
// pages [sequences, per_seq].
//
// Grid (tokens, ⌈n/256⌉), blocks of 256, no LDS. F16 and BF16 round half to even. Q8_0 gives the bytes of
// tensor/quant/q8_0.go: scale d = largest magnitude / 127 of 32 elements, codes x/d rounded half away from zero; a
// wave makes a block. Reference: ops_ref/kv_append.go. Launched by kv_append.go.
#include "math.h"

// cache_row returns the row of token t, or -1.
DEV i64 cache_row(const int* pos, const int* seq, const int* pages, int t, int page, int per_seq) {
  int s = seq[t], p = pos[t];
  return s < 0 ? -1 : (i64)pages[(i64)s * per_seq + p / page] * page + p % page;
}

DEV void put(float* cache, i64 i, float v) { cache[i] = v; }
DEV void put(half* cache, i64 i, float v) { cache[i] = (half)v; }
DEV void put(u16* cache, i64 i, float v) { cache[i] = to_bhalf(v); }

#define KV_APPEND(name, type)                                                                                            \
  KERNEL(256) kv_append_##name(type* RESTRICT cache, const float* RESTRICT x, const int* RESTRICT pos,                   \
                               const int* RESTRICT seq, const int* RESTRICT pages, int n, int page, int per_seq) {       \
    int i = block_y() * 256 + tid();                                                                                     \
    i64 row = cache_row(pos, seq, pages, block_x(), page, per_seq);                                                      \
    if (i < n && row >= 0) put(cache, row * n + i, x[(i64)block_x() * n + i]);                                           \
  }
KV_APPEND(f32, float)
KV_APPEND(f16, half)
KV_APPEND(bf16, u16)

KERNEL(256) kv_append_q8_0(u8* RESTRICT cache, const float* RESTRICT x, const int* RESTRICT pos, const int* RESTRICT seq,
                           const int* RESTRICT pages, int n, int page, int per_seq) {
  int i = block_y() * 256 + tid();
  i64 row = cache_row(pos, seq, pages, block_x(), page, per_seq);
  if (i >= n || row < 0) return; // whole waves: n is a multiple of 32
  float v = x[(i64)block_x() * n + i];
  float d = wave_max(__builtin_fabsf(v)) / 127.0f;
  float id = d != 0 ? 1.0f / d : 0;
  float q = pin(v * id), r = __builtin_truncf(q);
  r += __builtin_fabsf(q - r) >= 0.5f ? __builtin_copysignf(1.0f, q) : 0;
  r = __builtin_fminf(__builtin_fmaxf(r, -127.0f), 127.0f); // 1/d is infinite for subnormal d
  if (q != q) r = 0;                                        // 0 times infinity
  u8* b = cache + (row * n + i) / 32 * 34;
  b[2 + lane()] = (u8)(int)r;
  if (lane() == 0) *(half*)b = (half)__builtin_fminf(d, 65504.0f);
}
