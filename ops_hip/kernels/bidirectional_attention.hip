// o[t][h] = Σ_j p_j·v_j over the rows j of the sequence of token t, or those of them at most `reach` rows away if reach > 0;
// p = softmax of the scores scale·q·k. q [tokens, heads, dk]; k [tokens, kv_heads, dk]; v [tokens, kv_heads, dv]; o [tokens,
// heads, dv]; seq [tokens], negative for padding, whose rows are zero; rows starts[s] to starts[s+1]-1 are of sequence s.
// Query head h uses KV head h/(heads/kv_heads). dk a multiple of 4, at most 256.
//
//   bidirectional_attention_f32   Grid (⌈tokens/16⌉, heads, ⌈dv/64⌉), blocks of 128: a wave for four neighbouring tokens. Its
//                                 lanes score a key each, 32 at a time, counted from the start of the sequence, then sum
//                                 values, each those of two columns. LDS 16,384 bytes.
//
// Softmax is computed online, as in attention.h. What a token gets depends on its place in its sequence alone.
// Float throughout. Reference: ops_ref/bidirectional_attention.go. Launched by bidirectional_attention.go.
#include "math.h"

#define QUERIES 4
#define COLUMNS 2
#define DIM 256

KERNEL(128) bidirectional_attention_f32(const float* RESTRICT q, const float* RESTRICT k, const float* RESTRICT v, const int* RESTRICT seq, const int* RESTRICT starts,
                                        float* RESTRICT o, int tokens, int heads, int kv_heads, int dk, int dv, int reach, float scale) {
  LDS __attribute__((aligned(16))) float queries[4 * QUERIES * DIM];
  float* tq = queries + QUERIES * wave() * DIM;
  const int h = block_y(), kv = h / (heads / kv_heads), t0 = uniform(16 * block_x() + QUERIES * wave()), l = lane(), d0 = 64 * block_z() + l;
  int of[QUERIES];
  float m[QUERIES], sum[QUERIES] = {}, acc[QUERIES][COLUMNS] = {};
  UNROLL for (int i = 0; i < QUERIES; i++) {
    of[i] = t0 + i < tokens ? seq[t0 + i] : -1;
    m[i] = -__builtin_inff();
    for (int d = l; d < dk; d += 32) tq[i * DIM + d] = t0 + i < tokens ? q[((i64)(t0 + i) * heads + h) * dk + d] : 0;
  }
  barrier();
  // Once for each sequence of the four, which is the same for all lanes.
#pragma unroll 1
  for (int g = 0, before = -1; g < QUERIES && t0 + g < tokens; g++) {
    const int s = uniform(seq[t0 + g]);
    if (s < 0 || s == before) continue;
    before = s;
    int start = uniform(starts[s]), end = uniform(starts[s + 1]), from = start;
    if (reach > 0) {
      from = t0 + g - reach > start ? t0 + g - reach : start;
      end = t0 + QUERIES + reach < end ? t0 + QUERIES + reach : end;
    }
    for (int j0 = start + (from - start) / 32 * 32; j0 < end; j0 += 32) {
      const int j = j0 + l, row = j < end ? j : end - 1;
      const f32x4* key = (const f32x4*)(k + ((i64)row * kv_heads + kv) * dk);
      float dot[QUERIES] = {}, p[QUERIES];
#pragma unroll 1
      for (int d = 0; d < dk / 4; d++) {
        f32x4 y = key[d];
        UNROLL for (int i = 0; i < QUERIES; i++) {
          f32x4 x = ((const f32x4*)(tq + i * DIM))[d];
          UNROLL for (int e = 0; e < 4; e++) dot[i] = __builtin_fmaf(x[e], y[e], dot[i]);
        }
      }
      UNROLL for (int i = 0; i < QUERIES; i++) {
        int away = t0 + i > j ? t0 + i - j : j - t0 - i;
        bool seen = of[i] == s && j < end && (reach == 0 || away <= reach);
        float score = seen ? scale * dot[i] : -__builtin_inff(), to = __builtin_fmaxf(m[i], wave_max(score));
        p[i] = seen ? exp2_approx((score - to) * LOG2E) : 0;
        float old = m[i] == to ? 1 : exp2_approx((m[i] - to) * LOG2E);
        sum[i] = sum[i] * old + wave_sum(p[i]);
        m[i] = to;
        UNROLL for (int c = 0; c < COLUMNS; c++) acc[i][c] *= old;
      }
#pragma unroll 1
      for (int n = 0; n < 32 && j0 + n < end; n++) {
        const float* value = v + ((i64)(j0 + n) * kv_heads + kv) * dv;
        float w[QUERIES];
        UNROLL for (int i = 0; i < QUERIES; i++) w[i] = shfl(p[i], n);
        UNROLL for (int c = 0; c < COLUMNS; c++) {
          float y = d0 + 32 * c < dv ? value[d0 + 32 * c] : 0;
          UNROLL for (int i = 0; i < QUERIES; i++) acc[i][c] = __builtin_fmaf(w[i], y, acc[i][c]);
        }
      }
    }
  }
  UNROLL for (int i = 0; i < QUERIES; i++)
    UNROLL for (int c = 0; c < COLUMNS; c++)
      if (t0 + i < tokens && d0 + 32 * c < dv) o[((i64)(t0 + i) * heads + h) * dv + d0 + 32 * c] = of[i] < 0 ? 0 : acc[i][c] / sum[i];
}
