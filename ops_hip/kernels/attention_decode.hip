// Attention for few tokens of each sequence: see attention.h for what it computes, cached_rows.h for the types of the
// cache, attention_decode.h for how. Keys and values have heads of one size, a multiple of 16 (of 32 for Q8_0), and lie in
// pages of a power of two of tokens, at least 32. Float throughout. Reference: ops_ref/attention.go. Launched by
// attention_decode.go.
//
//   attention_<type>_decode<D>x<C>   heads up to D, C columns. Grid (tiles of tokens · chunks of heads, splits, KV heads),
//                                    blocks of 256. LDS up to 33 KiB.
#include "attention_decode.h"

#define DECODE(type, d, c)                                                                                             \
  KERNEL_LARGE(256) attention_##type##_decode##d##x##c(ATTENTION_PARAMS, DECODE_PARAMS) {                                    \
    LDS decode_lds<type, d, c> m;                                                                                      \
    attention_decode<type, d, c>(ATTENTION_ARGS, DECODE_ARGS, m);                                                      \
  }
#define FEW(type) DECODE(type, 128, 4) DECODE(type, 256, 4)
#define MANY(type) FEW(type) DECODE(type, 64, 8) DECODE(type, 128, 8) DECODE(type, 256, 6) DECODE(type, 256, 8) DECODE(type, 512, 4)
MANY(f16)
MANY(q8_0)
FEW(bf16)
FEW(f32)
