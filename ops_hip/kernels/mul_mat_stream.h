// Integer dot products of one token's 24-bit activations with many rows of weights (mul_mat_dot.h), as a stream: a block takes a
// range of rows, of such a size that all blocks run at once and end together. Four rows share what is read of the activations. Steps
// of all fours, one behind the other, are shared out evenly among the block's waves, each of which has the weights of its next step
// on the way while it multiplies, across the ends of rows too. Sums of four rows are one for each wave that had some of their
// steps, added in the order of waves.
#pragma once
#include "math.h"
#include "mul_mat_dot.h"
#include "q24.h"

enum { stream_waves = 8, stream_fours = 36 };

typedef f32x4 stream_sums[stream_waves][stream_fours];

// four_rows are rows of weights: at w, and next, second and second + next bytes behind it.
struct four_rows {
  const u8* w;
  i64 next, second;
};

// A source tells dot_stream where the steps of four rows are. It has
//
//   k                    the elements of a row as weights lie
//   total                those that a row has in all, of which a step has lanes<Q>::step
//   four(p)              the rows of four p
//   find(s, at, skip)    whether the lane has elements of step s: from lanes<Q>::first() + at on, in rows `skip` bytes behind those
//   weight(s)            what their products are multiplied with; asked if `weighted`, and else steps follow each other in a row

// stream_share is how the steps of so many fours are shared out.
template <class Q> struct stream_share {
  int steps, each; // of a four; of a wave
  DEV_METHOD stream_share(int fours, int total) {
    steps = (total + lanes<Q>::step - 1) / lanes<Q>::step;
    each = (fours * steps + stream_waves - 1) / stream_waves;
  }

  // sum returns that of a row of four p; all waves are done.
  DEV_METHOD float sum(const stream_sums& sums, int p, int row) const {
    float v = 0;
    for (int w = p * steps / each, last = ((p + 1) * steps - 1) / each; w <= last; w++) v += ((const float*)&sums[w][p])[row];
    return v;
  }
};

// x_step is what a lane reads of the activations for a step.
template <class L> struct x_step {
  u32x4 codes[L::runs][3];
  f32x2 scale[L::runs];
  DEV_METHOD void load(const x24& x, int at) {
    UNROLL for (int j = 0; j < L::runs; j++) {
      const u32 i = L::first() + j * L::apart;
      UNROLL for (int p = 0; p < 3; p++) codes[j][p] = x24::load(x, p, 0, at, i);
      scale[j] = x24::scale(x, 0, at, i);
    }
  }

  // products returns the sum of those with the runs of a row.
  DEV_METHOD float products(const run (&r)[L::runs]) const {
    float v = 0;
    UNROLL for (int j = 0; j < L::runs; j++) {
      sums s = {};
      s.add(r[j].q, codes[j][0], codes[j][1], codes[j][2], L::is_signed);
      v += r[j].scale * (scale[j][0] * s.all());
      if (j < L::mins) v -= r[j].min * scale[j][1];
    }
    return v;
  }
};

// dot_stream writes what falls to the wave of the products of so many fours of rows, at most stream_fours, with the one token of x.
// It awaits the launches before, which what a source reads must not come from, and then calls ahead(), which asks for what the end
// needs.
template <class Q, class Source, class Ahead> DEV void dot_stream(const x24& x, int fours, const Source& of, stream_sums& out, Ahead ahead) {
  typedef lanes<Q> L;
  const stream_share<Q> share(fours, of.total);
  const int first = share.each * uniform(wave()), all = fours * share.steps;
  const int n = all - first < share.each ? all - first : share.each;
  int p = first / share.steps, s = first - p * share.steps;
  int next_p = p, next_s = s;
  four_rows rows = {};
  typename L::cursor c = {};
  bool has = false; // elements of the step that comes next
  auto find = [&](bool again) {
    int at;
    i64 skip;
    has = of.find(next_s, at, skip);
    if (again) rows = of.four(next_p);
    if (Source::weighted || again)
      c = L::start(rows.w + (has ? skip : 0), has ? at : 0, of.k);
    else
      c.next();
  };
  typename L::raw w[4] = {};
  auto read = [&](int r) {
    if (has) L::read(c, (r & 1 ? rows.next : 0) + (r & 2 ? rows.second : 0), w[r]);
  };
  if (n > 0) {
    find(true);
    UNROLL for (int r = 0; r < 4; r++) read(r);
  }
  await_launches();
  ahead();
  f32x4 acc = 0;
  for (int left = n; left > 0; left--) {
    const bool had = has;
    x_step<L> xs = {};
    if (had) xs.load(x, s * L::step);
    const bool ends = s + 1 == share.steps;
    has = false;
    if (left > 1) {
      next_s = ends ? 0 : s + 1, next_p = p + ends;
      find(ends);
    }
    float v[4];
    UNROLL for (int r = 0; r < 4; r++) {
      run u[L::runs];
      L::open(w[r], u);
      read(r);
      v[r] = xs.products(u);
    }
    if (had) {
      const float weight = Source::weighted ? of.weight(s) : 1;
      UNROLL for (int r = 0; r < 4; r++) acc[r] = Source::weighted ? __builtin_fmaf(weight, v[r], acc[r]) : acc[r] + v[r];
    }
    if (ends || left == 1) {
      UNROLL for (int r = 0; r < 4; r++) acc[r] = wave_sum(acc[r]);
      if (lane() == 0) out[wave()][p] = acc;
      acc = 0;
    }
    s = ends ? 0 : s + 1, p += ends;
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

// from_end returns the first of so many rows that the group has whose first would be `at`: the last group starts earlier, so that it
// has as many.
DEV int from_end(int at, int group, int n) { return at < n - group ? at : n - group; }

// adjacent_rows are fours of neighbours among the n rows of w, at least 4, from `first` on.
template <class Q> struct adjacent_rows : whole_rows<Q> {
  const u8* w;
  int first, n;
  DEV_METHOD adjacent_rows(const u8* w, int first, int n, int k) : whole_rows<Q>(k), w(w), first(first), n(n) {}
  DEV_METHOD four_rows four(int p) const { return {w + from_end(first + 4 * p, 4, n) * this->bytes, this->bytes, 2 * this->bytes}; }
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

// stream_gate writes the block's results act(a·x)·(b·x), of a source whose fours are two rows of a and the same of b, from `first`
// on.
template <class Q, class Source>
DEV void stream_gate(const x24& x, const Source& of, int act, const gated_outputs& m, int first, stream_sums& sums, float* own) {
  const int rows = m.n - first < m.rows ? m.n - first : m.rows, fours = (rows + 1) / 2;
  dot_stream<Q>(x, fours, of, sums, [] {});
  allow_launches();
  barrier();
  const int i = tid();
  if (i < rows) {
    const stream_share<Q> share(fours, of.total);
    const int p = i / 2, row = first + i - from_end(first + 2 * p, 2, m.n);
    const float v = gated_f(act, share.sum(sums, p, row), share.sum(sums, p, 2 + row));
    m.y[first + i] = own[i] = v;
  }
  if (m.out.codes) emit_codes(own, m, first, rows);
}
