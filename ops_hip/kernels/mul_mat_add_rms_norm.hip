// sum[t][o] = h[t][o] + Σ_i x[t][i]·w[o][i] with integer dot products (mul_mat_dot.h), out = rms_norm of sum with weights wn and
// eps: w [n, k], h, sum, out [m, n], wn [n]. The bits of the product and of add_rms_norm. n is a multiple of 4, up to 8192.
// Unless codes_y are null, n is a multiple of 128, and codes_y and ds_y are the 24-bit codes of out (q24.h); out may be null,
// where nothing reads it otherwise.
//
// mul_mat_<q>_dot1_norm (m = 1) and _dot8_norm (m of 1 to 8). Grid ⌈n/16⌉, blocks of 256, a wave for two rows of w; the last
// block to finish makes the norms in the order of the kernels of norm.h, that of one token with all threads, else a wave each.
// counter is 0 before and after. LDS 132 bytes. Reference: the expansion. Launched by mul_mat_add_rms_norm.go.
#include "mul_mat_dot.h"
#include "sum_norm.h"

struct store_sum {
  const float* h;
  float* sum;
  u32 n;
  DEV_METHOD void operator()(int t, int o, float v) {
    u64 i = (u64)t * n + o;
    sum[i] = h[i] + v;
  }
};

template <class Q, int M>
DEV void mul_mat_add_rms_norm(const x24& x, const u8* RESTRICT w, const float* RESTRICT h, const float* RESTRICT wn, float* sum, float* RESTRICT out,
                              norm_out codes, u32* counter, u32 n, float eps, float* part, int* last) {
  dot_pair<Q, M>(x, w, block_x() * 16 + 2 * uniform(wave()), n, store_sum{h, sum, n});
  if (!last_block(counter, (n + 15) / 16, last)) return;
  sum_norms<M != 1>(M == 1 ? 1 : x.m, sum, wn, out, n, eps, part, codes);
}

#define ADD_NORM(q, m_max)                                                                                                   \
  KERNEL(256) mul_mat_##q##_dot##m_max##_norm(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT w,      \
                                              const float* RESTRICT h, const float* RESTRICT wn, float* sum,                 \
                                              float* RESTRICT out, i8* RESTRICT codes_y, float* RESTRICT ds_y, u32* counter, \
                                              int m, u32 n, int k, float eps) {                                              \
    LDS float part[32];                                                                                                      \
    LDS int last;                                                                                                            \
    mul_mat_add_rms_norm<q, m_max>((x24){codes, ds, m, k}, w, h, wn, sum, out,                                               \
                                   norm_out{codes_y, ds_y, m * n, codes_y ? form_codes : no_form}, counter, n, eps, part, &last); \
  }
#define ADD_NORM_OF(q) ADD_NORM(q, 1) ADD_NORM(q, 8)
ADD_NORM_OF(q8_0)
ADD_NORM_OF(q4_k)
ADD_NORM_OF(q6_k)
