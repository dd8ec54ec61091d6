// y[t][o] = act(Σ_i x[t][i]·gate[o][i]) · Σ_i x[t][i]·up[o][i] with integer dot products (mul_mat_dot.h): gate, up [n, k] of one
// type. The bits of both products and of swiglu or geglu. Unless codes_y are null, n is a multiple of 32, and codes_y and
// ds_y are the 24-bit codes of y (q24.h); y may be null, where nothing reads it otherwise.
//
// mul_mat_<q>_dot1_gated (m = 1) and _dot8_gated (m of 1 to 8); act is a gate of math.h. Grid ⌈n/32⌉, blocks of 256: 32
// results, since so many share a step of codes, four for each wave. LDS 128·M bytes. Reference: the expansion. Launched by
// mul_mat_gated.go.
#include "mul_mat_dot.h"
#include "math.h"
#include "q24.h"

template <class Q, int M>
DEV void mul_mat_gated(const x24& x, const u8* RESTRICT gate, const u8* RESTRICT up, float* RESTRICT y, q24_out out, int n, int act,
                       float (*part)[32]) {
  const int first = 4 * uniform(wave());
  NO_UNROLL for (int i = first; i < first + 4; i++) {
    int o = block_x() * 32 + i;
    if (o >= n) break;
    float acc[2][M];
    x24 again = {x.codes, x.ds, opaque(x.m), opaque(x.k)}; // what could be kept of all tokens is too much
    const i64 at = o * weight_row<Q>::bytes(again.k);
    dot_rows<Q, M>(again, gate + at, up + at, acc);
    UNROLL for (int t = 0; t < M; t++)
      if ((M == 1 || t < again.m) && lane() == 0) part[t][i] = gated_f(act, acc[0][t], acc[1][t]);
  }
  allow_launches();
  await_launches(); // waves without rows too
  barrier();
  int t = wave(), o = block_x() * 32 + lane();
  if (t >= x.m) return;
  float v = o < n ? part[t][lane()] : 0;
  if (y && o < n) y[(i64)t * n + o] = v;
  if (out.codes) q24_lanes(v, (u64)t * n + o, out);
}

#define GATED(q, m_max)                                                                                                            \
  KERNEL(256) mul_mat_##q##_dot##m_max##_gated(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT gate,        \
                                               const u8* RESTRICT up, float* RESTRICT y, i8* RESTRICT codes_y,                     \
                                               float* RESTRICT ds_y, int m, int n, int k, int act) {                               \
    LDS float part[m_max][32];                                                                                                     \
    mul_mat_gated<q, m_max>((x24){codes, ds, m, k}, gate, up, y, q24_out{codes_y, ds_y, (u32)m * (u32)n}, n, act, part);           \
  }
#define GATED_OF(q) GATED(q, 1) GATED(q, 8)
GATED_OF(q8_0)
GATED_OF(q4_k)
GATED_OF(q6_k)
