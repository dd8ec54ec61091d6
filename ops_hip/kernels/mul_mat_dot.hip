// y[t][o] = Σ_i x[t][i]·w[o][i] with integer dot products (mul_mat_dot.h), for each of up to four weights w [n, k]
// (outputs.h); y float [m, n].
//
//   mul_mat_<q>_dot1     Any m. Grid (Σ⌈n/8⌉, m), blocks of 128, a wave for two rows; no LDS.
//   mul_mat_<q>_dot8     m of 1 to 8, each weight unpacked once. Grid Σ⌈n/8⌉, else the same.
//   mul_mat_mixed_dot1   The same for weights of several types: types has that of output i, a dot_type, in byte i.
//   mul_mat_mixed_dot8
//
// Reference: ops_ref/mul_mat.go. Launched by mul_mat.go.
#include "dot_types.h"
#include "mul_mat_dot.h"
#include "outputs.h"

struct store {
  float* y;
  int n;
  DEV_METHOD void operator()(int t, int o, float v) { y[(i64)t * n + o] = v; }
};

template <class Q, int M> DEV void mul_mat_dot(const x24& x, const output& w) {
  dot_pair<Q, M>(M == 1 ? x24::token(x, block_y()) : x, w.w, w.block * 8 + 2 * uniform(wave()), w.n, store{M == 1 ? w.y + (i64)block_y() * w.n : w.y, w.n});
}

template <int M> DEV void mul_mat_mixed(const x24& x, const output& w, u32 types) {
  switch (types >> 8 * w.index & 255) {
#define TYPE_DOT(q, name, block, bytes) \
  case type_##q: return mul_mat_dot<q, M>(x, w);
#define TYPE_DOT1(q, name, block, bytes) \
  case type_##q:                         \
    if constexpr (M == 1) return mul_mat_dot<q, 1>(x, w);
#include "dot_types.def"
  }
}

#define DOT_KERNEL(q, m_max)                                                                                         \
  KERNEL(128) mul_mat_##q##_dot##m_max(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, int m, int k) {  \
    mul_mat_dot<q, m_max>((x24){codes, ds, m, k}, OUTPUT(8));                                                        \
  }
#define TYPE_DOT(q, name, block, bytes) DOT_KERNEL(q, 1) DOT_KERNEL(q, 8)
#define TYPE_DOT1(q, name, block, bytes) DOT_KERNEL(q, 1)
#include "dot_types.def"

KERNEL(128) mul_mat_mixed_dot1(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, u32 types, int m, int k) {
  mul_mat_mixed<1>((x24){codes, ds, m, k}, OUTPUT(8), types);
}
KERNEL(128) mul_mat_mixed_dot8(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, u32 types, int m, int k) {
  mul_mat_mixed<8>((x24){codes, ds, m, k}, OUTPUT(8), types);
}
