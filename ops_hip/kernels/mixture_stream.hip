// Mixtures of experts for one token, as in mixture_dot.hip but for how products are shared out (mul_mat_stream.h): rows of all
// choices are one long list, of which blocks take ranges. Behind mixture_router_f32 come
//
//   mixture_glu_stream_<q>        What mixture_<q>_glu does. y [top+S, ff] is written as floats too. Those of 32 results that several blocks
//                                 make come from the last of these; counters are (top+S)·ff/32, 0 before and after. Grid
//                                 ⌈(top+S)·ff/rows⌉, rows an even number up to 72.
//   mixture_sum_stream_<q>        What mixture_<q>_sum does; h is null, or added. Grid ⌈n/rows⌉, rows a multiple of 4 up to 144, n at
//                                 least 4.
//   mixture_sum_norm_stream_<q>   What mixture_<q>_sum_norm does, of the same grid.
//
// Blocks of 256. LDS 9,120, 5,136 and 5,268 bytes. Reference: the expansion. Launched by mixture.go.
#include "mixture.h"
#include "mul_mat_stream.h"
#include "route.h"

// chosen_rows are the rows of gate and up of the chosen experts and the shared one, one behind the other, from `first` on.
template <class Q> struct chosen_rows : whole_rows<Q> {
  const u8 *gate, *up, *shared_gate, *shared_up;
  const int* ids;
  int top, ff, first;
  DEV_METHOD chosen_rows(int k) : whole_rows<Q>(k) {}
  DEV_METHOD four_rows four(int p) const {
    const u32 row = (u32)(first + 2 * p), c = row / (u32)ff;
    const bool own = (int)c < top;
    const i64 at = (i64)(row - c * ff) * this->bytes + (own ? (i64)ids[c] * ff * this->bytes : 0);
    return {(own ? gate : shared_gate) + at, this->bytes, own ? up - gate : shared_up - shared_gate};
  }
};

// choice_sums are fours of neighbours among the n rows of down, from `first` on, each of which is that of all choices one behind the other.
template <class Q> struct choice_sums {
  enum { weighted = 1 };
  int k, total;
  const u8* w;
  const choice* of;
  i64 bytes;
  int first, n;
  DEV_METHOD four_rows four(int p) const { return {w + from_end(first + 4 * p, 4, n) * bytes, bytes, 2 * bytes}; }
  DEV_METHOD u32 place(int s) const { return (u32)(s * lanes<Q>::step + lanes<Q>::first()); }
  DEV_METHOD bool find(int s, int& at, i64& skip) const {
    const u32 i = place(s), c = i / (u32)k;
    if ((int)i >= total) return false;
    at = (int)(i - c * k) - lanes<Q>::first(), skip = of[c].at;
    __builtin_assume((at & (Q::block - 1)) == 0); // divisions of it are shifts
    return true;
  }
  DEV_METHOD float weight(int s) const { return of[place(s) / (u32)k].weight; }
};

template <class Q> DEV void stream_sum(const x24& y, const second& m, const float* h, float* out, int rows, stream_sums& sums, choice* of) {
  await_launches();
  find_choices<Q>(m, 0, of);
  const int first = block_x() * rows, count = m.n - first < rows ? m.n - first : rows, fours = (count + 3) / 4;
  const i64 bytes = weight_row<Q>::bytes(m.ff);
  const choice_sums<Q> source = {m.ff, (m.top + (m.shared ? 1 : 0)) * m.ff, m.down, of, bytes, first, m.n};
  const int i = tid(), p = i / 4;
  float add = 0;
  dot_stream<Q>(y, fours, source, sums, [&] {
    if (h && i < count) add = h[first + i];
  });
  allow_launches();
  barrier();
  if (i >= count) return;
  const stream_share<Q> share(fours, source.total);
  const float v = share.sum(sums, p, first + i - from_end(first + 4 * p, 4, m.n));
  out[first + i] = h ? add + v : v;
}

#define SECOND                                                                                                                     \
  const i8 *RESTRICT codes, const float *RESTRICT ds, const int *RESTRICT ids, const float *RESTRICT weights,                      \
      const float *RESTRICT logits, const u8 *RESTRICT down, const u8 *RESTRICT shared, int experts, int top, int ff, int n, int rows
#define SECOND_OF (second{ids, weights, logits, down, shared, experts, top, ff, n})
#define Y24 ((x24){codes, ds, 1, (top + (shared ? 1 : 0)) * ff})

#define MIXTURE(q)                                                                                                                 \
  KERNEL_TWICE(256) mixture_glu_stream_##q(const i8* RESTRICT xcodes, const float* RESTRICT xds, const float* RESTRICT logits,   \
                                       const float* RESTRICT bias, const u8* RESTRICT gate, const u8* RESTRICT up,                 \
                                       const u8* RESTRICT shared_gate, const u8* RESTRICT shared_up, int* RESTRICT ids,            \
                                       float* RESTRICT weights, i8* RESTRICT codes, float* RESTRICT ds, float* y, u32* counters,   \
                                       int k, int ff, int gating, int experts, int top, int norm, int rows, float scale) {         \
    LDS float score[1024], own[2 * stream_fours];                                                                                      \
    LDS int chosen[32];                                                                                                            \
    LDS stream_sums sums;                                                                                                          \
    await_launches();                                                                                                              \
    if (wave() == 0) {                                                                                                             \
      int id;                                                                                                                      \
      float weight;                                                                                                                \
      route(gating, logits, bias, experts, top, norm, scale, score, id, weight);                                                   \
      chosen[lane()] = id;                                                                                                         \
      if (block_x() == 0 && lane() < top) ids[lane()] = id, weights[lane()] = weight;                                              \
    }                                                                                                                              \
    barrier();                                                                                                                     \
    const int all = (top + (shared_gate ? 1 : 0)) * ff;                                                                            \
    chosen_rows<q> source(k);                                                                                                      \
    source.gate = gate, source.up = up, source.shared_gate = shared_gate, source.shared_up = shared_up, source.ids = chosen;       \
    source.top = top, source.ff = ff, source.first = block_x() * rows;                                                             \
    stream_gate<q>((x24){xcodes, xds, 1, k}, source, gate_swiglu, gated_outputs{y, q24_out{codes, ds, (u32)all}, counters, all, rows}, \
                   source.first, sums, own);                                                                                       \
  }                                                                                                                                \
  KERNEL_TWICE(256) mixture_sum_stream_##q(SECOND, float* RESTRICT out) {                                                        \
    LDS stream_sums sums;                                                                                                          \
    LDS choice of[max_choices];                                                                                                    \
    stream_sum<q>(Y24, SECOND_OF, 0, out, rows, sums, of);                                                                         \
  }                                                                                                                                \
  KERNEL_TWICE(256) mixture_sum_norm_stream_##q(SECOND, const float* RESTRICT h, const float* RESTRICT wn, float* sum,           \
                                            float* RESTRICT out, i8* RESTRICT codes_y, float* RESTRICT ds_y, u32* counter, float eps) { \
    LDS stream_sums sums;                                                                                                          \
    LDS choice of[max_choices];                                                                                                    \
    LDS float part[32];                                                                                                            \
    LDS int last;                                                                                                                  \
    stream_sum<q>(Y24, SECOND_OF, h, sum, rows, sums, of);                                                                         \
    if (!last_block(counter, (n + rows - 1) / rows, &last)) return;                                                                \
    sum_norms<false>(1, sum, wn, out, n, eps, part, norm_out{codes_y, ds_y, (u32)n, codes_y ? form_codes : no_form});              \
  }
MIXTURE(q8_0)
MIXTURE(q4_k)
MIXTURE(q6_k)
