// The selective scan of Mamba 2, of a head h over rows starts[b] to starts[b+1]-1 of the inputs of a sequence b:
//
//   e = softplus(dt + bias);  S = exp(e·a)·S + e·x⊗B;  y = S·C + d·x
//
// x [tokens, heads·dim + 2·groups·ds] holds the x of all heads, then B of all groups, then C; dt [tokens, heads]; bias, a, d
// [heads]; state [slots, heads, dim, ds] holds S of sequence b at slots[b]; y [tokens, heads, dim]. The group of h is
// h/(heads/groups). Rows of y from starts[sequences] on, padding, are zero; a sequence without rows is left alone.
//
// Grid (heads·⌈dim/32⌉, sequences+1), blocks of 128: a block takes 32 rows of S of one head, token by token, in registers, as
// delta_net.h says. Float; sums in the order of delta_dot. LDS 64·n + 1,088 bytes. Number of launches: one. Source: Dao and Gu
// 2024 (arXiv 2405.21060). Reference: ops_ref/ssm_scan.go. Launched by ssm_scan.go.
//
//   ssm_scan_f32_<n>        ds ≤ n for n of 128, 256; a multiple of four.
//   ssm_scan_f32_kept_<n>   The same with slots [sequences, 1+kept].
#include "delta_net.h"

struct scan {
  const float *x, *dt, *bias, *a, *d;
  float *state, *y;
  const int *starts, *slots;
  int sequences, tokens, heads, dim, ds, groups, kept;
};

// scan_row_at returns where row `row` of S of head h is in slot s.slots[at]; rows beyond the last are that.
DEV float* scan_row_at(const scan& s, int at, int h, int row) {
  return s.state + (((i64)s.slots[at] * s.heads + h) * s.dim + (row < s.dim ? row : s.dim - 1)) * s.ds;
}

// scan_lds is what a block knows of eight tokens: B, C, x of its rows, the step e and the decay.
template <int N> struct scan_lds {
  float b[8][N], c[8][N], x[8][32], step[8], decay[8];
};

// scan_load and scan_store move a lane's part of a row of ds columns, a multiple of four.
template <int N> DEV void scan_load(delta_row<N>& r, const float* state, int ds) {
  UNROLL for (int i = 0; i < N / 16; i++) {
    f32x4 zero = {};
    r.s[i] = r.column(i) < ds ? *(const f32x4*)(state + r.column(i)) : zero;
  }
}
template <int N> DEV void scan_store(const delta_row<N>& r, float* state, int ds) {
  UNROLL for (int i = 0; i < N / 16; i++)
    if (r.column(i) < ds) *(f32x4*)(state + r.column(i)) = r.s[i];
}

template <int N, bool KEPT> DEV void ssm_scan(const scan& s, scan_lds<N>& m) {
  const int slices = (s.dim + 31) / 32, h = block_x() / slices, base = block_x() % slices * 32, row = base + tid() / 4;
  const int inner = s.heads * s.dim, pitch = inner + 2 * s.groups * s.ds, b = block_y();
  if (b == s.sequences) {
    for (int t = s.starts[b] + tid() % 4; t < s.tokens && row < s.dim; t += 4) s.y[((i64)t * s.heads + h) * s.dim + row] = 0;
    return;
  }
  const int group = h / (s.heads / s.groups), first = s.starts[b], last = s.starts[b + 1];
  if (first == last) return;
  float* state = scan_row_at(s, b * (1 + s.kept), h, row);
  const float bias = s.bias[h], a = s.a[h], d = s.d[h];
  delta_row<N> r;
  scan_load(r, state, s.ds);
  for (int t0 = first; t0 < last; t0 += 8) {
    barrier();
    for (int i = wave(); i < 8; i += 4) {
      int t = t0 + i < last ? t0 + i : -1;
      delta_stage<N, DELTA_PLAIN>(m.b[i], s.x + inner, pitch, t, group, s.ds, 0);
      delta_stage<N, DELTA_PLAIN>(m.c[i], s.x + inner, pitch, t, s.groups + group, s.ds, 0);
      int at = base + lane();
      m.x[i][lane()] = t >= 0 && at < s.dim ? s.x[(i64)t * pitch + h * s.dim + at] : 0;
    }
    if (tid() < 8 && t0 + tid() < last) {
      float e = softplus_f(s.dt[(i64)(t0 + tid()) * s.heads + h] + bias);
      m.step[tid()] = e;
      m.decay[tid()] = exp_f(e * a);
    }
    barrier();
    NO_UNROLL for (int i = 0; i < 8 && t0 + i < last; i++) {
      float x = m.x[i][tid() / 4];
      delta_add(r, m.decay[i], m.step[i] * x, m.b[i]);
      float y = __builtin_fmaf(d, x, delta_dot(r, m.c[i]));
      if (row < s.dim && tid() % 4 == 0) s.y[((i64)(t0 + i) * s.heads + h) * s.dim + row] = y;
      if (KEPT) {
        const int at = kept_at(s.slots, s.kept, b, last - 1 - t0 - i, last - first);
        if (at >= 0 && row < s.dim) scan_store(r, scan_row_at(s, at, h, row), s.ds);
      }
    }
  }
  if (row < s.dim) scan_store(r, state, s.ds);
}

#define ARGS                                                                                                              \
  const float *RESTRICT x, const float *RESTRICT dt, const float *RESTRICT bias, const float *RESTRICT a, const float *RESTRICT d, \
      float *RESTRICT state, float *RESTRICT y, const int *RESTRICT starts, const int *RESTRICT slots, int sequences, int tokens, \
      int heads, int dim, int ds, int groups
#define SCAN(n)                                                                                                           \
  KERNEL(128) ssm_scan_f32_##n(ARGS) {                                                                                    \
    LDS scan_lds<n> m;                                                                                                    \
    ssm_scan<n, false>(scan{x, dt, bias, a, d, state, y, starts, slots, sequences, tokens, heads, dim, ds, groups, 0}, m); \
  }                                                                                                                       \
  KERNEL(128) ssm_scan_f32_kept_##n(ARGS, int kept) {                                                                     \
    LDS scan_lds<n> m;                                                                                                    \
    ssm_scan<n, true>(scan{x, dt, bias, a, d, state, y, starts, slots, sequences, tokens, heads, dim, ds, groups, kept}, m); \
  }
SCAN(128)
SCAN(256)
