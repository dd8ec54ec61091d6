// y[p][o] = Σ_i x[x row of p][i]·w[ids[p]][o][i] for pairs p = (token, choice), as in mul_mat_experts.h, with integer dot
// products (mul_mat_dot.h): x as codes of [rows, k] elements.
//
// mul_mat_experts_<q>_dot: grid (rows, ⌈n/8⌉, per), blocks of 128, a wave for two rows of w. No LDS. Reference:
// ops_ref/experts.go. Launched by mul_mat_experts.go.
#include "mul_mat_dot.h"

struct store_pair {
  float* y;
  DEV_METHOD void operator()(int, int o, float v) { y[o] = v; }
};

template <class Q>
DEV void mul_mat_experts_dot(const x24& x, const u8* RESTRICT w, const int* RESTRICT ids, float* RESTRICT y, int n, int per) {
  await_launches();
  const int p = block_x() * per + block_z();
  dot_pair<Q, 1>(x24::token(x, block_x()), w + (i64)ids[p] * n * weight_row<Q>::bytes(x.k), block_y() * 8 + 2 * uniform(wave()), n, store_pair{y + (i64)p * n});
}

#define TYPE_DOT(q, name, block, bytes)                                                                                  \
  KERNEL(128) mul_mat_experts_##q##_dot(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT w,        \
                                        const int* RESTRICT ids, float* RESTRICT y, int rows, int n, int k, int per) {   \
    mul_mat_experts_dot<q>((x24){codes, ds, rows, k}, w, ids, y, n, per);                                                \
  }
#define TYPE_DOT1 TYPE_DOT
#include "dot_types.def"
