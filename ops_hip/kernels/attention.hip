// Attention for every shape: see attention.h for what it computes. The cache is F32, F16, BF16 or Q8_0, the same for
// keys and values; dk ≤ 576. Float throughout. Reference: ops_ref/attention.go. Launched by attention.go.
//
//   attention_<type>_plain   Grid (tokens·heads, splits, ⌈dv/256⌉), blocks of 128. Each of four waves takes every fourth
//                            run of 32 keys of the split's share; lanes score a key each (eight lanes together read
//                            it), then each lane sums up to eight values. The waves' results are merged in order.
//                            LDS 6,432 bytes.
//
// With one split the result is final. With more, a split leaves m and l in stats [tokens·heads, splits][2] and its
// weighted sum in sums [tokens·heads, splits, dv], for
//
//   attention_combine        Grid tokens·heads, blocks of 128: merges the splits in order. No LDS.
#include "attention.h"

// merge returns the factor e^(m-m') of partial results, 0 where there are none.
DEV float merge(float m, float to) { return m == -__builtin_inff() ? 0 : exp2_approx((m - to) * LOG2E); }

template <class T>
DEV void attention_plain(const attention_args& a, float* RESTRICT stats, float* RESTRICT sums, int splits, float* tq, float (*part)[256], float* part_m, float* part_l) {
  const int x = block_x(), t = x / a.heads, h = x % a.heads, kv = h / (a.heads / a.kv_heads), l = lane(), d0 = block_z() * 256;
  const int seq = a.seq[t], last = a.pos[t];
  if (seq < 0) {
    for (int d = d0 + tid(); d < a.dv && d < d0 + 256 && splits == 1; d += 128) a.o[(i64)x * a.dv + d] = 0;
    return; // attention_combine does it otherwise
  }
  for (int d = tid(); d < (a.dk + 7 & ~7); d += 128) tq[d] = d < a.dk ? a.q[(i64)x * a.dk + d] : 0;
  barrier();
  int lo = a.window > 0 && last - a.window + 1 > 0 ? last - a.window + 1 : 0, hi = last + 1;
  int share = ((hi - lo + splits - 1) / splits + 31) / 32 * 32;
  lo += share * block_y();
  hi = lo + share < hi ? lo + share : hi;
  const i64 k_bytes = row_bytes<T>(a.dk), v_bytes = row_bytes<T>(a.dv);
  float m = -__builtin_inff(), sum = 0, acc[8] = {};
  for (int j0 = lo + 32 * wave(); j0 < hi; j0 += 128) {
    int row = j0 + l < hi ? cache_row(a, seq, j0 + l) : 0;
    float s = 0;
    for (int i = 0; i < 8; i++) {
      int r = shfl(row, (l & ~7) + i);
      const u8* k = a.k + ((i64)r * a.kv_heads + kv) * k_bytes;
      float d = 0;
      for (u32 g = l & 7; (int)(8 * g) < a.dk; g += 8) {
        group y;
        get_group<T>(k, g, a.dk, y);
        UNROLL for (int j = 0; j < 8; j++) d = __builtin_fmaf(tq[8 * g + j], y[j], d);
      }
      d = lanes_sum<8>(d);
      if ((l & 7) == i) s = d;
    }
    s = j0 + l < hi ? score_of(a, s) : -__builtin_inff();
    float to = __builtin_fmaxf(m, wave_max(s)), p = exp2_approx((s - to) * LOG2E), old = merge(m, to);
    sum = sum * old + wave_sum(p);
    m = to;
    UNROLL for (int i = 0; i < 8; i++) acc[i] *= old;
    for (int j = 0; j < 32 && j0 + j < hi; j++) {
      float w = shfl(p, j);
      const u8* v = a.v + ((i64)shfl(row, j) * a.kv_heads + kv) * v_bytes;
      UNROLL for (int i = 0; i < 8; i++)
        if (d0 + 32 * i + l < a.dv) acc[i] = __builtin_fmaf(w, T::at(v, d0 + 32 * i + l), acc[i]);
    }
  }
  UNROLL for (int i = 0; i < 8; i++) part[wave()][32 * i + l] = acc[i];
  if (l == 0) part_m[wave()] = m, part_l[wave()] = sum;
  barrier();
  m = -__builtin_inff(), sum = 0;
  UNROLL for (int w = 0; w < 4; w++) m = __builtin_fmaxf(m, part_m[w]);
  float sink = -__builtin_inff();
  if (splits == 1 && a.sinks) sink = a.sinks[h], m = __builtin_fmaxf(m, sink);
  UNROLL for (int w = 0; w < 4; w++) sum += part_l[w] * merge(part_m[w], m);
  sum += merge(sink, m);
  i64 at = (i64)x * splits + block_y();
  float* out = splits == 1 ? a.o + (i64)x * a.dv : sums + at * a.dv;
  float by = 1.0f / sum;
  for (int d = tid(); d < 256 && d0 + d < a.dv; d += 128) {
    float y = 0;
    UNROLL for (int w = 0; w < 4; w++) y += part[w][d] * merge(part_m[w], m);
    out[d0 + d] = splits == 1 ? gated(a.gate, a.gate_stride, x, d0 + d, y * by) : y;
  }
  if (splits > 1 && tid() == 0 && d0 == 0) stats[2 * at] = m, stats[2 * at + 1] = sum;
}

#define PLAIN(type)                                                                                                       \
  KERNEL(128) attention_##type##_plain(ATTENTION_PARAMS, float* RESTRICT stats, float* RESTRICT sums, int splits) {       \
    LDS float tq[576], part[4][256], part_m[4], part_l[4];                                                                \
    attention_plain<type>(ATTENTION_ARGS, stats, sums, splits, tq, part, part_m, part_l);                                 \
  }
PLAIN(f32)
PLAIN(f16)
PLAIN(bf16)
PLAIN(q8_0)

KERNEL(128) attention_combine(const float* RESTRICT stats, const float* RESTRICT sums, const int* RESTRICT seq, const float* RESTRICT sinks,
                              float* RESTRICT o, int heads, int dv, int splits, const float* RESTRICT gate, int gate_stride) {
  const int x = block_x(), h = x % heads;
  const bool padding = seq[x / heads] < 0;
  const float* st = stats + 2 * (i64)x * splits;
  float m = -__builtin_inff(), sum = 0;
  if (!padding) {
    float sink = sinks ? sinks[h] : m;
    m = sink;
    for (int i = 0; i < splits; i++) m = __builtin_fmaxf(m, st[2 * i]);
    for (int i = 0; i < splits; i++) sum += st[2 * i + 1] * merge(st[2 * i], m);
    sum += merge(sink, m);
  }
  for (int d = tid(); d < dv; d += 128) {
    float y = 0;
    for (int i = 0; i < splits && !padding; i++) y += sums[((i64)x * splits + i) * dv + d] * merge(st[2 * i], m);
    o[(i64)x * dv + d] = padding ? 0 : gated(gate, gate_stride, x, d, y / sum);
  }
}
