// Integer dot products of one token's 24-bit activations with many rows of weights (mul_mat_dot.h), as a stream: a block takes a
// range of pairs of rows, of such a size that all blocks run at once and end together. Steps of all its pairs, one behind the other,
// are shared out evenly among its waves, each of which has the weights of its next steps on the way while it multiplies, across the
// ends of rows too. Sums of a pair are one for each wave that had some of its steps, added in the order of waves.
#pragma once
#include "math.h"
#include "mul_mat_dot.h"
#include "q24.h"

enum { stream_waves = 8, stream_pairs = 72, stream_ahead = 2 };

typedef f32x2 stream_sums[stream_waves][stream_pairs];

// A source tells dot_stream where the steps of pairs of rows are. It has
//
//   k                    the elements of a row as weights lie
//   total                those that a pair has in all, of which a step has lanes<Q>::step
//   pair(p, a, b)        the rows of pair p
//   find(s, at, skip)    whether the lane has elements of step s: from lanes<Q>::first() + at on, in rows `skip` bytes behind a and b
//   weight(s)            what their products are multiplied with; only asked if `weighted`

// stream_share is how the steps of so many pairs are shared out.
template <class Q> struct stream_share {
  int steps, each; // of a pair; of a wave
  DEV_METHOD stream_share(int pairs, int total) {
    steps = (total + lanes<Q>::step - 1) / lanes<Q>::step;
    each = (pairs * steps + stream_waves - 1) / stream_waves;
  }

  // sum returns that of row `row` of pair p; all waves are done.
  DEV_METHOD float sum(const stream_sums& sums, int p, int row) const {
    float v = 0;
    for (int w = p * steps / each, last = ((p + 1) * steps - 1) / each; w <= last; w++) v += sums[w][p][row];
    return v;
  }
};

// dot_stream writes what falls to the wave of the products of `pairs` pairs of rows, at most stream_pairs, with the one token of x.
// It awaits the launches before, which what a source reads must not come from.
template <class Q, class Source> DEV void dot_stream(const x24& x, int pairs, const Source& of, stream_sums& sums) {
  typedef lanes<Q> L;
  const stream_share<Q> share(pairs, of.total);
  const int first = share.each * uniform(wave()), all = pairs * share.steps;
  int n = all - first < share.each ? all - first : share.each; // steps that are left
  int p = first / share.steps, s = first - p * share.steps;
  int coming = n, next_p = p, next_s = s;
  const u8 *a = 0, *b = 0;
  if (n > 0) of.pair(p, a, b);
  typename L::raw w[stream_ahead][2] = {};
  auto fetch = [&](typename L::raw (&to)[2]) {
    if (coming <= 0) return;
    int at;
    i64 skip;
    if (of.find(next_s, at, skip)) L::fetch(a + skip, at, of.k, to[0]), L::fetch(b + skip, at, of.k, to[1]);
    if (--coming > 0 && ++next_s == share.steps) next_s = 0, of.pair(++next_p, a, b);
  };
  UNROLL for (int d = 0; d < stream_ahead; d++) fetch(w[d]);
  await_launches();
  float acc[2] = {};
  while (n > 0) UNROLL for (int d = 0; d < stream_ahead; d++) {
      if (n <= 0) break;
      run r[2][L::runs];
      L::open(w[d][0], r[0]);
      L::open(w[d][1], r[1]);
      fetch(w[d]);
      if (s * L::step + L::first() < of.total) {
        if constexpr (Source::weighted) {
          float v[2] = {};
          add_products<L>(x, 0, s * L::step, r, v);
          const float weight = of.weight(s);
          UNROLL for (int i = 0; i < 2; i++) acc[i] = __builtin_fmaf(weight, v[i], acc[i]);
        } else {
          add_products<L>(x, 0, s * L::step, r, acc);
        }
      }
      if (--n > 0 && ++s < share.steps) continue;
      const float u = wave_sum(acc[0]), v = wave_sum(acc[1]);
      if (lane() == 0) sums[wave()][p] = (f32x2){u, v};
      acc[0] = acc[1] = 0, s = 0, p++;
    }
}

// whole_rows are rows that are multiplied as they lie.
template <class Q> struct whole_rows {
  enum { weighted = 0 };
  int k, total;
  i64 bytes; // of a row
  DEV_METHOD whole_rows(int k) : k(k), total(k), bytes(weight_row<Q>::bytes(k)) {}
  DEV_METHOD bool find(int s, int& at, i64& skip) const {
    at = s * lanes<Q>::step, skip = 0;
    return at + lanes<Q>::first() < k;
  }
  DEV_METHOD float weight(int) const { return 1; }
};

// adjacent_rows are pairs of neighbours among so many rows of w, of which the last may be alone.
template <class Q> struct adjacent_rows : whole_rows<Q> {
  const u8* w;
  int rows;
  DEV_METHOD adjacent_rows(const u8* w, int first, int rows, int k) : whole_rows<Q>(k), w(w + first * this->bytes), rows(rows) {}
  DEV_METHOD void pair(int p, const u8*& a, const u8*& b) const {
    a = w + 2 * p * this->bytes, b = 2 * p + 1 < rows ? a + this->bytes : a;
  }
};

// gated_outputs are results that a product is gated for: where they go, how many there are in all and in a block, and what counts
// the blocks that have made some of 32.
struct gated_outputs {
  float* y;
  q24_out out; // without codes nothing is written there
  u32* counters;
  int n, rows;
};

// emit_codes writes the codes of groups of 32 that the block has results of: own has those from `first` on, which all threads have
// written to global memory too. Of a group that others have a part of, the last to come does it.
DEV void emit_codes(const float* own, const gated_outputs& m, int first, int count) {
  device_release();
  barrier();
  const int g0 = first / 32, groups = (first + count - 1) / 32 - g0 + 1;
  for (int i = wave(); i < groups; i += stream_waves) {
    const int at = 32 * (g0 + i);
    float v;
    if (at >= first && at + 32 <= first + count)
      v = own[at - first + lane()];
    else {
      const u32 parts = (at + 31) / m.rows - at / m.rows + 1;
      int last = 0;
      if (lane() == 0) {
        last = take_ticket(m.counters + g0 + i) == parts - 1;
        if (last) m.counters[g0 + i] = 0;
      }
      if (!uniform(shfl(last, 0))) continue;
      device_acquire();
      v = m.y[at + lane()];
    }
    q24_lanes(v, (u64)at + lane(), m.out);
  }
}

// stream_gate writes the block's results act(a·x)·(b·x) of the pairs of a source, which is that of pairs from `first` on.
template <class Q, class Source>
DEV void stream_gate(const x24& x, const Source& of, int act, const gated_outputs& m, int first, stream_sums& sums, float* own) {
  const int rows = m.n - first < m.rows ? m.n - first : m.rows;
  dot_stream<Q>(x, rows, of, sums);
  allow_launches();
  barrier();
  const int i = tid();
  if (i < rows) {
    const stream_share<Q> share(rows, of.total);
    const float v = gated_f(act, share.sum(sums, i, 0), share.sum(sums, i, 1));
    m.y[first + i] = own[i] = v;
  }
  if (m.out.codes) emit_codes(own, m, first, rows);
}
