// Mixtures of experts for few tokens: three launches from the router to the sum. S is 1 if there is an expert that serves
// every token, else 0; it counts as choice `top` of each. Weights of experts are Q8_0, Q4_K or Q6_K.
//
//   mixture_router_f32    logits [tokens, experts+S]: x [tokens, k] times router [experts, k], then, if S, times factor [k];
//                         k is a multiple of 8. Grid (⌈(experts+S)/2⌉, tokens), blocks of 64, a wave for a row. No LDS.
//                         Sums in the order of mul_mat_f32_vec1.
//   mixture_<q>_glu       Routes (see route.h), and writes ids and weights [tokens, top], the factor of S not among them.
//                         The 24-bit codes (q24.h) of y [tokens, top+S, ff] = silu(gate·x)·(up·x) for each choice; gate, up
//                         [experts, ff, k], those of S [ff, k]; x as codes [3, tokens, k] and ds. ff is a multiple of 32.
//                         Grid (ff/32, top+S, tokens), blocks of 512, a wave for two of 32 elements of y. Each block
//                         routes by itself, which takes less time than a launch. LDS 4,352 bytes.
//   mixture_<q>_sum       out [tokens, n] = Σ_j weights[j]·down[ids[j]]·y[j] + sigmoid(factor)·shared·y[top]; down [experts,
//                         n, ff], shared [n, ff]; y as codes. Grid (⌈n/16⌉, tokens), blocks of 256, a wave for two rows,
//                         whose lanes run through the choices as if they were one long row. LDS 528 bytes.
//   mixture_<q>_sum_norm  The same, sum [tokens, n] = h + out, and out = rms_norm of sum with weights wn and eps, made by the
//                         last block to finish, for n a multiple of 4 up to 8192. Unless codes_y are null, n is a multiple
//                         of 128, and codes_y and ds_y are the 24-bit codes of out; then out may be null. counter is 0
//                         before and after. LDS 660 bytes.
//
// Numerics: products as in mul_mat_dot.h; weights of choices are multiplied before sums over lanes. Reference: the
// expansion. Launched by mixture.go.
#include "mixture.h"
#include "mul_mat_dot.h"
#include "route.h"
#include "sum_norm.h"

KERNEL(64) mixture_router_f32(const float* RESTRICT x, const float* RESTRICT router, const float* RESTRICT factor, float* RESTRICT logits,
                              int experts, int rows, int k) {
  const int o = block_x() * 2 + wave(), t = block_y();
  const f32x4* w = (const f32x4*)(o < experts ? router + (i64)o * k : factor);
  const f32x4* v = (const f32x4*)(x + (i64)t * k);
  f32x4 a[2][2]; // of the router, the next on the way
  if (o < rows)
    UNROLL for (int i = 0; i < 2; i++) {
      const int g = lane() + 32 * i;
      if (g < k / 8) a[i][0] = w[2 * g], a[i][1] = w[2 * g + 1];
    }
  await_launches();
  if (o >= rows) return;
  float sum = 0;
  for (int from = lane(); from < k / 8; from += 64)
    UNROLL for (int i = 0; i < 2; i++) {
      const int g = from + 32 * i, next = g + 64;
      if (g >= k / 8) break;
      f32x4 b0 = v[2 * g], b1 = v[2 * g + 1];
      UNROLL for (int j = 0; j < 4; j++) sum = __builtin_fmaf(a[i][0][j], b0[j], sum);
      UNROLL for (int j = 0; j < 4; j++) sum = __builtin_fmaf(a[i][1][j], b1[j], sum);
      if (next < k / 8) a[i][0] = w[2 * next], a[i][1] = w[2 * next + 1];
    }
  allow_launches();
  sum = wave_sum(sum);
  if (lane() == 0) logits[(i64)t * rows + o] = sum;
}

template <class Q>
DEV void mixture_glu(const x24& x, const routing& r, const u8* gate, const u8* up, const u8* shared_gate, const u8* shared_up, i8* codes, float* ds,
                     int ff, float* score, int* ids, float* y) {
  await_launches();
  const int choice = block_y(), t = block_z(), choices = r.top + (shared_gate ? 1 : 0), o = block_x() * 32;
  const i64 bytes = weight_row<Q>::bytes(x.k);
  if (choice < r.top) {
    if (wave() == 0) {
      int id;
      float weight;
      route(r.gating, r.logits + (i64)t * (r.experts + choices - r.top), r.bias, r.experts, r.top, r.norm, r.scale, score, id, weight);
      ids[lane()] = id;
      if (o == 0 && choice == 0 && lane() < r.top) r.ids[t * r.top + lane()] = id, r.weights[t * r.top + lane()] = weight;
    }
    barrier();
    i64 at = (i64)ids[choice] * ff * bytes;
    gate += at, up += at;
  } else {
    gate = shared_gate, up = shared_up;
  }
  const x24 token = x24::token(x, t);
  UNROLL for (int i = 0; i < 2; i++) {
    const i64 row = o + 2 * uniform(wave()) + i;
    float acc[2][1];
    dot_rows<Q, 1>(token, gate + row * bytes, up + row * bytes, acc);
    if (lane() == 0) y[2 * wave() + i] = silu_f(acc[0][0]) * acc[1][0];
  }
  barrier();
  if (wave() > 0) return;
  u32 rows = (u32)x.m * choices;
  q24_lanes(y[lane()], (u64)(t * choices + choice) * ff + o + lane(), q24_out{codes, ds, rows * ff});
}

// mixture_sum returns elements o and o+1 of the sum at token t, in all lanes.
template <class Q> DEV f32x2 mixture_sum(const x24& y, const second& m, const choice* of, int t, int o) {
  typedef lanes<Q> L;
  const int ff = m.ff, choices = m.top + (m.shared ? 1 : 0);
  const i64 bytes = weight_row<Q>::bytes(ff), next = o + 1 < m.n ? bytes : 0;
  float acc[2] = {};
  int i = L::first(), c = 0; // element of the row of choice c
  for (int from = 0; from < choices * ff; from += L::step) {
    const int all = opaque(uniform(from)); // as in dot_rows
    for (; i >= ff; i -= ff) c++;
    if (c < choices) {
      const u8* row = m.down + o * bytes + of[c].at;
      const float weight = of[c].weight;
      const int at = i - L::first();
      __builtin_assume((at & (Q::block - 1)) == 0); // divisions of it are shifts
      run r[2][L::runs];
      L::load(row, at, ff, r[0]);
      L::load(row + next, at, ff, r[1]);
      float v[2] = {};
      add_products<L>(y, t, all, r, v);
      UNROLL for (int a = 0; a < 2; a++) acc[a] = __builtin_fmaf(weight, v[a], acc[a]);
    }
    i += L::step;
  }
  return (f32x2){wave_sum(acc[0]), wave_sum(acc[1])};
}

// mixture_put writes the elements of each wave, plus those of h unless it is null.
template <class Q> DEV void mixture_put(const x24& y, const second& m, const float* h, float* out, choice* of) {
  const int o = block_x() * 16 + 2 * uniform(wave()), t = block_y();
  find_choices<Q>(m, t, of);
  if (o >= m.n) return;
  f32x2 v = mixture_sum<Q>(y, m, of, t, o);
  if (lane() > 0) return;
  const i64 at = (i64)t * m.n + o;
  out[at] = h ? h[at] + v[0] : v[0];
  if (o + 1 < m.n) out[at + 1] = h ? h[at + 1] + v[1] : v[1];
}

DEV void mixture_norms(int tokens, const float* sum, const float* wn, float* out, u32 n, float eps, float* part, norm_out codes) {
  if (tokens > 1)
    sum_norms<true>(tokens, sum, wn, out, n, eps, part, codes);
  else
    sum_norms<false>(1, sum, wn, out, n, eps, part, codes);
}

#define SECOND                                                                                                              \
  const i8 *RESTRICT codes, const float *RESTRICT ds, const int *RESTRICT ids, const float *RESTRICT weights,               \
      const float *RESTRICT logits, const u8 *RESTRICT down, const u8 *RESTRICT shared, int tokens, int experts, int top, int ff, int n
#define SECOND_OF (second{ids, weights, logits, down, shared, experts, top, ff, n})
#define Y24 ((x24){codes, ds, tokens, (top + (shared ? 1 : 0)) * ff})

#define MIXTURE(q)                                                                                                          \
  KERNEL(512) mixture_##q##_glu(const i8* RESTRICT xcodes, const float* RESTRICT xds, const float* RESTRICT logits,         \
                                const float* RESTRICT bias, const u8* RESTRICT gate, const u8* RESTRICT up,                 \
                                const u8* RESTRICT shared_gate, const u8* RESTRICT shared_up, int* RESTRICT ids,            \
                                float* RESTRICT weights, i8* RESTRICT codes, float* RESTRICT ds, int tokens, int k, int ff, \
                                int gating, int experts, int top, int norm, float scale) {                                  \
    LDS float score[1024], y[32];                                                                                           \
    LDS int chosen[32];                                                                                                     \
    mixture_glu<q>((x24){xcodes, xds, tokens, k}, (routing){logits, bias, ids, weights, gating, experts, top, norm, scale}, gate, up,  \
                   shared_gate, shared_up, codes, ds, ff, score, chosen, y);                                                \
  }                                                                                                                         \
  KERNEL(256) mixture_##q##_sum(SECOND, float* RESTRICT out) {                                                              \
    LDS choice of[max_choices];                                                                                             \
    mixture_put<q>(Y24, SECOND_OF, 0, out, of);                                                                             \
  }                                                                                                                         \
  KERNEL(256) mixture_##q##_sum_norm(SECOND, const float* RESTRICT h, const float* RESTRICT wn, float* sum, float* RESTRICT out,  \
                                     i8* RESTRICT codes_y, float* RESTRICT ds_y, u32* counter, float eps) {                 \
    LDS choice of[max_choices];                                                                                             \
    LDS float part[32];                                                                                                     \
    LDS int last;                                                                                                           \
    mixture_put<q>(Y24, SECOND_OF, h, sum, of);                                                                             \
    if (!last_block(counter, (n + 15) / 16 * tokens, &last)) return;                                                        \
    mixture_norms(tokens, sum, wn, out, n, eps, part, norm_out{codes_y, ds_y, (u32)(tokens * n), codes_y ? form_codes : no_form});  \
  }
MIXTURE(q8_0)
MIXTURE(q4_k)
MIXTURE(q6_k)
