// y[t][o] = Σ_i x[t][i]·w[o][i] with integer dot products (mul_mat_dot.h), for each of up to four weights w [n, k]
// (outputs.h); y float [m, n]. Kernels mul_mat_<q>_dot1 (m = 1) and _dot8 (m of 1 to 8) for weights of one type, and
// mul_mat_mixed_dot1 and _dot8 for weights of several: types has that of output i, a dot_type, in byte i.
//
// Grid Σ⌈n/8⌉, blocks of 128, a wave for two rows; no LDS. Reference: ops_ref/mul_mat.go. Launched by mul_mat.go.
#include "mul_mat_dot.h"
#include "outputs.h"

struct store {
  float* y;
  int n;
  DEV_METHOD void operator()(int t, int o, float v) { y[(i64)t * n + o] = v; }
};

template <class Q, int M> DEV void mul_mat_dot(const x24& x, const output& w) {
  dot_pair<Q, M>(x, w.w, w.block * 8 + 2 * wave(), w.n, store{w.y, w.n});
}

// dot_type numbers the types.
enum dot_type { type_q8_0, type_q4_k, type_q6_k };

template <int M> DEV void mul_mat_mixed(const x24& x, const output& w, u32 types) {
  switch (types >> 8 * w.index & 255) {
  case type_q8_0: return mul_mat_dot<q8_0, M>(x, w);
  case type_q4_k: return mul_mat_dot<q4_k, M>(x, w);
  case type_q6_k: return mul_mat_dot<q6_k, M>(x, w);
  }
}

#define DOT_KERNEL(q, m_max)                                                                                         \
  KERNEL(128) mul_mat_##q##_dot##m_max(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, int m, int k) {  \
    mul_mat_dot<q, m_max>((x24){codes, ds, m, k}, OUTPUT(8));                                                        \
  }
#define DOT(q) DOT_KERNEL(q, 1) DOT_KERNEL(q, 8)
DOT(q8_0)
DOT(q4_k)
DOT(q6_k)

KERNEL(128) mul_mat_mixed_dot1(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, u32 types, int m, int k) {
  mul_mat_mixed<1>((x24){codes, ds, m, k}, OUTPUT(8), types);
}
KERNEL(128) mul_mat_mixed_dot8(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, u32 types, int m, int k) {
  mul_mat_mixed<8>((x24){codes, ds, m, k}, OUTPUT(8), types);
}
