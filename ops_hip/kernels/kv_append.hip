// cache[place(t)][i] = x[t][i] in the type of the cache, where place(t) = pages[seq[t]][pos[t]/page]·page +
// pos[t]%page; tokens with seq < 0 are not stored. x [tokens, n], n = KV heads · head dim; cache [pages·page, n];
// pages [sequences, per_seq].
//
// Grid (tokens, ⌈n/256⌉), blocks of 256, no LDS. F16 and BF16 round half to even. Q8_0 gives the bytes of
// tensor/quant/q8_0.go: scale d = largest magnitude / 127 of 32 elements, codes x/d rounded half away from zero; a
// wave makes a block. Reference: ops_ref/kv_append.go. Launched by kv_append.go.
#include "kv_append.h"

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
  put_q8_0(cache + (row * n + i) / 32 * 34, x[(i64)block_x() * n + i]);
}
