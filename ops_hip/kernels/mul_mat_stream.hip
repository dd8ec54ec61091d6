// The products of mul_mat_dot.hip, mul_mat_gated.hip and mul_mat_add_rms_norm.hip for one token, as a stream (mul_mat_stream.h), of
// weights of Q8_0, Q4_K and Q6_K.
//
//   mul_mat_stream         y_i [n_i] = w_i·x of up to four weights w_i [n_i, k] (outputs.h): byte i of types is the dot_type of w_i, and byte i
//                          of rows the rows of a block of it, a multiple of 4 up to 144. n_i is at least 4. Grid Σ⌈n_i/rows_i⌉.
//   mul_mat_stream_gated   y [n] = act(gate·x)·(up·x), of gate and up [n, k] of one type; act is a gate of math.h. Unless codes_y are null,
//                          n is a multiple of 32 and codes_y and ds_y are the 24-bit codes of y (q24.h). Those of 32 results that
//                          several blocks make come from the last of these; counters are n/32, 0 before and after. Grid ⌈n/rows⌉, rows an
//                          even number up to 72.
//   mul_mat_stream_norm    sum [n] = h + w·x, and out = rms_norm of sum as in mul_mat_add_rms_norm.hip, n a multiple of 4 up to 8192.
//                          Grid ⌈n/rows⌉, rows a multiple of 4 up to 144. counter is 0 before and after.
//
// Blocks of 256. LDS 4,608 bytes, and 288 or 132 more. Reference: the expansions. Launched by mul_mat_stream.go.
#include "dot_types.h"
#include "math.h"
#include "mul_mat_stream.h"
#include "outputs.h"
#include "sum_norm.h"

struct stream_out {
  const u8* w;
  float* y;
  const float* add; // null for none
  int n, first, rows;
};

// stream_rows writes y = add + w·x for so many rows of the n from `first` on.
template <class Q> DEV void stream_rows(const x24& x, const stream_out& o, stream_sums& sums) {
  const int fours = (o.rows + 3) / 4, i = tid(), p = i / 4;
  float add = 0;
  dot_stream<Q>(x, fours, adjacent_rows<Q>(o.w, o.first, o.n, x.k), sums, [&] {
    if (o.add && i < o.rows) add = o.add[o.first + i];
  });
  allow_launches();
  barrier();
  const stream_share<Q> share(fours, x.k);
  if (i >= o.rows) return;
  const float v = share.sum(sums, p, o.first + i - from_end(o.first + 4 * p, 4, o.n));
  o.y[o.first + i] = o.add ? add + v : v;
}

// OF_TYPE returns f<q>(...) of the weights' type.
#define OF_TYPE(type, f, ...)                     \
  switch (type) {                                 \
    case type_q8_0: return f<q8_0>(__VA_ARGS__);  \
    case type_q4_k: return f<q4_k>(__VA_ARGS__);  \
    case type_q6_k: return f<q6_k>(__VA_ARGS__);  \
    default: __builtin_unreachable();             \
  }

DEV void stream_rows_of(u32 type, const x24& x, const stream_out& o, stream_sums& sums) { OF_TYPE(type, stream_rows, x, o, sums) }

KERNEL_TWICE(256) mul_mat_stream(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, u32 types, u32 rows, int k) {
  LDS stream_sums sums;
  const u8* w[] = {w0, w1, w2, w3};
  float* y[] = {y0, y1, y2, y3};
  const int n[] = {n0, n1, n2, n3};
  stream_out o;
  int b = block_x();
  u32 type;
  bool found = false;
  UNROLL for (int i = 0; i < 4; i++) {
    const int r = rows >> 8 * i & 255, blocks = i < 3 && n[i] ? (n[i] + r - 1) / r : 0, first = b * r;
    if (!found && (i == 3 || b < blocks)) {
      o = {w[i], y[i], 0, n[i], first, n[i] - first < r ? n[i] - first : r};
      type = types >> 8 * i & 255;
      found = true;
    }
    b -= blocks;
  }
  stream_rows_of(type, (x24){codes, ds, 1, k}, o, sums);
}

// gated_rows are two neighbours among the n rows of gate, at least 2, and those of up, from `first` on.
template <class Q> struct gated_rows : whole_rows<Q> {
  const u8 *gate, *up;
  int first, n;
  DEV_METHOD gated_rows(const u8* gate, const u8* up, int first, int n, int k)
      : whole_rows<Q>(k), gate(gate), up(up), first(first), n(n) {}
  DEV_METHOD four_rows four(int p) const { return {gate + from_end(first + 2 * p, 2, n) * this->bytes, this->bytes, up - gate}; }
};

template <class Q>
DEV void stream_gate_rows(const x24& x, const u8* gate, const u8* up, int act, const gated_outputs& m, stream_sums& sums, float* own) {
  const int first = block_x() * m.rows;
  stream_gate<Q>(x, gated_rows<Q>(gate, up, first, m.n, x.k), act, m, first, sums, own);
}

DEV void stream_gate_rows_of(u32 type, const x24& x, const u8* gate, const u8* up, int act, const gated_outputs& m, stream_sums& sums,
                             float* own) {
  OF_TYPE(type, stream_gate_rows, x, gate, up, act, m, sums, own)
}

KERNEL_TWICE(256) mul_mat_stream_gated(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT gate, float* y,
                                       const u8* RESTRICT up, i8* RESTRICT codes_y, float* RESTRICT ds_y, u32* counters, u32 type, int rows, int n, int k,
                                       int act) {
  LDS stream_sums sums;
  LDS float own[2 * stream_fours];
  stream_gate_rows_of(type, (x24){codes, ds, 1, k}, gate, up, act, gated_outputs{y, q24_out{codes_y, ds_y, (u32)n}, counters, n, rows}, sums,
                      own);
}

KERNEL_TWICE(256) mul_mat_stream_norm(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT w, const float* RESTRICT h,
                                      const float* RESTRICT wn, float* sum, float* RESTRICT out, i8* RESTRICT codes_y, float* RESTRICT ds_y,
                                      u32* counter, u32 type, int rows, u32 n, int k, float eps) {
  LDS stream_sums sums;
  LDS float part[32];
  LDS int last;
  const int first = block_x() * rows, count = (int)n - first < rows ? (int)n - first : rows;
  stream_rows_of(type, (x24){codes, ds, 1, k}, stream_out{w, sum, h, (int)n, first, count}, sums);
  if (!last_block(counter, (n + rows - 1) / rows, &last)) return;
  sum_norms<false>(1, sum, wn, out, n, eps, part, norm_out{codes_y, ds_y, n, codes_y ? form_codes : no_form});
}
