// Attention with matrix instructions, for many tokens: see attention.h for what it computes. Head dims of 64, 128 or
// 256 for keys and values alike; caches of F16, BF16 and Q8_0. Reference: ops_ref/attention.go. Launched by
// attention.go.
//
//   attention_<type>_mma<D>   Grid (⌈tokens/(16·waves)⌉, heads), blocks of 4 waves (2 for D = 256). A wave has 16
//                             tokens; the block goes through the keys in runs of 32 (16 for D = 256), which all
//                             waves share, once for each sequence among its tokens, in order of sequence. LDS
//                             24,576, 41,984 and 39,424 bytes.
//
// Queries, keys, values and the weights p are rounded to half; products accumulate in float, and so do m and l. Keys
// and values must be within ±65504.
#include "attention.h"
#include "mma.h"

template <int D, int WAVES, int RUN> struct attention_lds {
  enum { pad = RUN + 8 }; // halves in a row of keys
  half q[16 * WAVES][D + 8], k[RUN][D + 8];
  half v[D][pad];         // transposed: a fragment's K is the keys
  half p[WAVES][16][pad]; // weights, from accumulator to fragment layout
  int seq[16 * WAVES], pos[16 * WAVES];
};

template <class T, int D, int WAVES, int RUN> DEV void attention_mma(const attention_args& a, attention_lds<D, WAVES, RUN>& m) {
  constexpr int pad = RUN + 8, tiles = RUN / 16;
  const int tokens = 16 * WAVES, t0 = block_x() * tokens, h = block_y(), kv = h / (a.heads / a.kv_heads), w = wave();
  const int *seq = m.seq + 16 * w, *pos = m.pos + 16 * w;
  const i64 bytes = row_bytes<T>(D);
  if (tid() < tokens) {
    int t = t0 + tid();
    m.seq[tid()] = t < a.tokens ? a.seq[t] : -1;
    m.pos[tid()] = t < a.tokens ? a.pos[t] : 0;
  }
  for (int i = tid(); i < tokens * D / 8; i += tokens * 2) {
    int r = i / (D / 8), c = i % (D / 8);
    group y = {};
    if (t0 + r < a.tokens) get_floats<false>(a.q + ((i64)(t0 + r) * a.heads + h) * D, c, D, y);
    put8(&m.q[r][8 * c], y);
  }
  Acc o[D / 16] = {}, top, sum = {};
  UNROLL for (int e = 0; e < 8; e++) top[e] = -1e30f; // finite, so that e^(top-top) is 1 before the first key
  barrier();
  for (int cur = -1;;) {
    // The next sequence among the block's tokens, and the positions that its tokens see.
    int next = 0x7fffffff, lo = 0x7fffffff, hi = 0;
    for (int i = 0; i < tokens; i++)
      if (m.seq[i] > cur && m.seq[i] < next) next = m.seq[i];
    if (next == 0x7fffffff) break;
    cur = next;
    for (int i = 0; i < tokens; i++) {
      if (m.seq[i] != cur) continue;
      int first = a.window > 0 && m.pos[i] - a.window + 1 > 0 ? m.pos[i] - a.window + 1 : 0;
      lo = first < lo ? first : lo;
      hi = m.pos[i] + 1 > hi ? m.pos[i] + 1 : hi;
    }
    for (int j0 = lo; j0 < hi; j0 += RUN) {
      for (int i = tid(); i < RUN * D / 8; i += tokens * 2) {
        int key = i % RUN, c = i / RUN; // neighbouring threads write neighbouring halves of m.v
        group y = {}, z = {};
        if (j0 + key < hi) {
          i64 at = ((i64)cache_row(a, cur, j0 + key) * a.kv_heads + kv) * bytes;
          get_group<T>(a.k + at, c, D, y);
          get_group<T>(a.v + at, c, D, z);
        }
        put8(&m.k[key][8 * c], y);
        UNROLL for (int j = 0; j < 8; j++) m.v[8 * c + j][key] = (half)z[j];
      }
      barrier();
      Acc s[tiles] = {};
      UNROLL for (int d = 0; d < D; d += 16) {
        FragA q = load_a(&m.q[16 * w][d], D + 8);
        UNROLL for (int n = 0; n < tiles; n++) s[n] = mma(s[n], q, load_b(&m.k[16 * n][d], D + 8));
      }
      UNROLL for (int n = 0; n < tiles; n++)
        UNROLL for (int e = 0; e < 8; e++) {
          int r = acc_row(e), key = j0 + 16 * n + acc_col(e), last = pos[r];
          bool seen = seq[r] == cur && key <= last && (a.window == 0 || key > last - a.window);
          s[n][e] = seen ? score_of(a, s[n][e]) * LOG2E : -__builtin_inff();
        }
      Acc to = s[0], p = {};
      if (tiles == 2) to = __builtin_elementwise_max(to, s[tiles - 1]);
      to = acc_row_max(to);
      UNROLL for (int e = 0; e < 8; e++) {
        to[e] = __builtin_fmaxf(to[e], top[e]);
        float old = exp2_approx(top[e] - to[e]);
        UNROLL for (int n = 0; n < tiles; n++) {
          half x = (half)exp2_approx(s[n][e] - to[e]);
          m.p[w][acc_row(e)][16 * n + acc_col(e)] = x;
          p[e] += (float)x;
        }
        sum[e] *= old;
        UNROLL for (int d = 0; d < D / 16; d++) o[d][e] *= old;
      }
      sum += acc_row_sum(p);
      top = to;
      wave_fence();
      UNROLL for (int j = 0; j < RUN; j += 16) {
        FragA x = load_a(&m.p[w][0][j], pad);
        UNROLL for (int d = 0; d < D / 16; d++) o[d] = mma(o[d], x, load_b(&m.v[16 * d][j], pad));
      }
      barrier();
    }
  }
  UNROLL for (int e = 0; e < 8; e++) {
    int r = acc_row(e), t = t0 + 16 * w + r;
    float by = 1, l = sum[e];
    if (a.sinks) {
      float sink = a.sinks[h] * LOG2E, to = __builtin_fmaxf(top[e], sink);
      by = exp2_approx(top[e] - to);
      l = l * by + exp2_approx(sink - to);
    }
    by = seq[r] < 0 ? 0 : by / l;
    if (t >= a.tokens) continue;
    i64 row = (i64)t * a.heads + h;
    UNROLL for (int d = 0; d < D / 16; d++) {
      int c = 16 * d + acc_col(e);
      a.o[row * D + c] = gated(a.gate, a.gate_stride, row, c, o[d][e] * by);
    }
  }
}

#define MMA(type, d, waves, run)                                               \
  KERNEL(waves * 32) attention_##type##_mma##d(ATTENTION_PARAMS) {             \
    LDS attention_lds<d, waves, run> m;                                        \
    attention_mma<type, d, waves, run>(ATTENTION_ARGS, m);                     \
  }
#define TYPES(d, waves, run) MMA(f16, d, waves, run) MMA(bf16, d, waves, run) MMA(q8_0, d, waves, run)
TYPES(64, 4, 32)
TYPES(128, 4, 32)
TYPES(256, 2, 16)
