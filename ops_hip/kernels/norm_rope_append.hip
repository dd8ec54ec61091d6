// What attention needs of a token between the products before it and its own kernel: rows of queries and keys are normalized
// with weights wq and wk and eps, unless these are null, then rotated by freqs unless half is 0 (rope.hip); queries go to
// y, keys and values to the paged cache (kv_append.hip). The bits of rms_norm, rope and kv_append.
// q [tokens, heads, at the start of q_stride], k and v [tokens, kv_heads, n], y [tokens, heads, n]; n is a multiple of 4, up
// to 512, and of 32 for Q8_0.
//
//   norm_rope_append_<type>_<pairing>   Grid ⌈tokens·(heads + 2·kv_heads)/4⌉, blocks of 128, a wave for a head. LDS 8,192
//                                       bytes.
// Reference: the expansion of self_attention. Launched by self_attention.go.
#include "kv_append.h"
#include "norm.h"
#include "rope.h"

struct append_f32 { typedef float element; };
struct append_f16 { typedef half element; };
struct append_bf16 { typedef u16 element; };
struct append_q8_0 {};

// put_row writes n elements, element i of which is x[i], to the row of the cache that starts at element `at`.
template <class T> DEV void put_row(u8* cache, i64 at, const float* x, u32 n) {
  for (u32 i = lane(); i < n; i += 32) put((typename T::element*)cache, at + i, x[i]);
}
template <> inline __attribute__((device, always_inline)) void put_row<append_q8_0>(u8* cache, i64 at, const float* x, u32 n) {
  for (u32 i = lane(); i < n; i += 32) put_q8_0(cache + (at + i) / 32 * 34, x[i]);
}

#define PARAMS                                                                                                               \
  const float *RESTRICT q, const float *RESTRICT k, const float *RESTRICT v, const float *RESTRICT wq, const float *RESTRICT wk, \
      const int *RESTRICT pos, const int *RESTRICT seq, const int *RESTRICT pages, const float *RESTRICT freqs,              \
      float *RESTRICT y, u8 *RESTRICT keys, u8 *RESTRICT values, u32 tokens, u32 heads, u32 kv_heads, u32 n, u32 q_stride,   \
      u32 half_dims, float eps, float mscale, int page, int per_seq
#define ARGS q, k, v, wq, wk, pos, seq, pages, freqs, y, keys, values, tokens, heads, kv_heads, n, q_stride, half_dims, eps, mscale, page, per_seq

template <class T> DEV void norm_rope_append(PARAMS, bool interleaved, float* x) {
  u32 r = (u32)block_x() * 4 + wave(), per = heads + 2 * kv_heads, t = r / per, h = r % per;
  if (t >= tokens) return;
  const float* from;
  const float* w;
  if (h < heads)
    from = q + ((u64)t * heads + h) * q_stride, w = wq;
  else if (h < heads + kv_heads)
    from = k + ((u64)t * kv_heads + h - heads) * n, w = wk;
  else
    from = v + ((u64)t * kv_heads + h - heads - kv_heads) * n, w = 0, half_dims = 0;
  float s = 1;
  if (w) {
    norm_vectors<32>(head_squares{(const f32x4*)from, &s}, n, lane(), 0, 0, norm_out{});
    s = rms_factor(s, n, eps);
  }
  int p = pos[t];
  for (u32 i = lane(); i < half_dims; i += 32) {
    u32 a = first_of(i, interleaved), b = second_of(i, half_dims, interleaved);
    float c = from[a], d = from[b];
    if (w) c = rms_scale(c, w[a], s), d = rms_scale(d, w[b], s);
    rotate(c, d, p, freqs[i], mscale);
    x[a] = c, x[b] = d;
  }
  for (u32 i = 2 * half_dims + lane(); i < n; i += 32) x[i] = w ? rms_scale(from[i], w[i], s) : from[i];
  wave_fence();
  if (h < heads) {
    y += ((u64)t * heads + h) * n;
    for (u32 i = lane(); i < n / 4; i += 32) ((f32x4*)y)[i] = ((f32x4*)x)[i];
    return;
  }
  i64 row = cache_row(pos, seq, pages, t, page, per_seq);
  if (row < 0) return;
  h -= heads;
  if (h < kv_heads)
    put_row<T>(keys, (row * kv_heads + h) * n, x, n);
  else
    put_row<T>(values, (row * kv_heads + h - kv_heads) * n, x, n);
}

#define APPEND(type, pairing)                                                \
  KERNEL(128) norm_rope_append_##type##_##pairing(PARAMS) {                  \
    allow_launches();                                                        \
    await_launches();                                                        \
    enum { neox, interleaved };                                              \
    LDS float x[4][512];                                                     \
    norm_rope_append<append_##type>(ARGS, pairing == interleaved, x[wave()]); \
  }
APPEND(f32, neox)
APPEND(f16, neox)
APPEND(bf16, neox)
APPEND(q8_0, neox)
APPEND(f32, interleaved)
APPEND(f16, interleaved)
APPEND(bf16, interleaved)
APPEND(q8_0, interleaved)
