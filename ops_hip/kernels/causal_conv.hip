// y[t][c] = Σ_j w[c][j]·x[t-K+1+j][c] along each sequence b, rows starts[b] to starts[b+1]-1 of x; rows before the
// first come from state [slots, K-1, channels] at slots[b], oldest first, which the last K-1 rows replace. Rows of y
// from starts[sequences] on, padding, are zero; a sequence without rows is left alone. x, y [tokens, channels]; w
// [channels, K]. Sums in order of j with fused multiply-adds. No LDS.
// Reference: ops_ref/causal_conv.go. Launched by causal_conv.go.
//
//   causal_conv_f32_serial   Grid (sequences+1, ⌈channels/256⌉), blocks of 256: a thread for a channel of a sequence, or of
//                            the padding, token by token. For few tokens a sequence.
//   causal_conv_f32_tokens   Grid (sequences+1, ⌈channels/256⌉, ⌈tokens/16⌉), blocks of 256: 16 tokens a thread. The
//                            first 16 alone read the state, so that their thread replaces it.
//   causal_conv_silu_f32_*   The same with silu(y) in place of y.
//   *_kept                   The same with slots [sequences, 1+kept]: the last K-1 rows of all but the last j tokens go to
//                            place slots[b][j], as kept.h says.
#include "kept.h"
#include "math.h"

// row_at returns channel c of row t of a sequence: x from 0 on, the state before.
DEV float row_at(const float* x, const float* state, int t, int channels, int taps) {
  return t < 0 ? state[(i64)(t + taps - 1) * channels] : x[(i64)t * channels];
}

DEV float convolve(const float* x, const float* state, const float* w, int t, int channels, int taps) {
  float s = 0;
  for (int j = 0; j < taps; j++) s = __builtin_fmaf(w[j], row_at(x, state, t - taps + 1 + j, channels, taps), s);
  return s;
}

// advance replaces the state by the last taps-1 rows. It reads no row that it has replaced: rows only move down.
DEV void advance(const float* x, float* state, int n, int channels, int taps) {
  if (n == 0) return;
  for (int j = 0; j < taps - 1; j++) state[(i64)j * channels] = row_at(x, state, n - taps + 1 + j, channels, taps);
}

// span is the rows of sequence b, or of the padding that follows the last one.
struct span {
  int first, n;
  bool padding;
};
DEV span span_of(const int* starts, int b, int sequences, int tokens) {
  return {starts[b], (b < sequences ? starts[b + 1] : tokens) - starts[b], b == sequences};
}

// run convolves up to `most` tokens of a channel from token `from` of a sequence on, and replaces the state if that is 0.
template <bool SILU, bool KEPT>
DEV void run(const float* RESTRICT x, float* state, const float* RESTRICT w, const int* RESTRICT starts, const int* RESTRICT slots,
             float* RESTRICT y, int sequences, int tokens, int channels, int taps, int from, int most, int kept) {
  int b = block_x(), c = block_y() * 256 + tid();
  span s = span_of(starts, b, sequences, tokens);
  if (c >= channels || from >= s.n) return;
  int to = most < s.n - from ? from + most : s.n;
  x += (i64)s.first * channels + c, y += (i64)s.first * channels + c;
  if (s.padding) {
    for (int t = from; t < to; t++) y[(i64)t * channels] = 0;
    return;
  }
  float* const states = state;
  w += (i64)c * taps, state += (i64)slots[b * (1 + kept)] * (taps - 1) * channels + c;
  for (int t = from; t < to; t++) {
    float v = convolve(x, state, w, t, channels, taps);
    y[(i64)t * channels] = SILU ? silu_f(v) : v;
  }
  if (from != 0) return;
  if (KEPT) // which read what advance replaces
    for (int j = 1; j <= kept; j++) {
      const int at = kept_at(slots, kept, b, j, s.n);
      for (int i = 0; at >= 0 && i < taps - 1; i++)
        states[((i64)slots[at] * (taps - 1) + i) * channels + c] = row_at(x, state, s.n - j - taps + 1 + i, channels, taps);
    }
  advance(x, state, s.n, channels, taps);
}

#define ARGS                                                                                                           \
  const float *RESTRICT x, float *state, const float *RESTRICT w, const int *RESTRICT starts, const int *RESTRICT slots, \
      float *RESTRICT y, int sequences, int tokens, int channels, int taps
#define RUN(SILU, KEPT, from, most, kept)                                                                              \
  run<SILU, KEPT>(x, state, w, starts, slots, y, sequences, tokens, channels, taps, from, most, kept)
#define KERNELS(name, SILU)                                                                                            \
  KERNEL(256) name##_f32_serial(ARGS) { RUN(SILU, false, 0, tokens, 0); }                                              \
  KERNEL(256) name##_f32_tokens(ARGS) { RUN(SILU, false, block_z() * 16, 16, 0); }                                     \
  KERNEL(256) name##_f32_serial_kept(ARGS, int kept) { RUN(SILU, true, 0, tokens, kept); }                             \
  KERNEL(256) name##_f32_tokens_kept(ARGS, int kept) { RUN(SILU, true, block_z() * 16, 16, kept); }
KERNELS(causal_conv, false)
KERNELS(causal_conv_silu, true)
