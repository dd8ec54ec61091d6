// sum[t][o] = h[t][o] + Σ_i x[t][i]·w[o][i] with integer dot products (mul_mat_dot.h), out = rms_norm of sum with weights wn and
// eps: w [n, k], h, sum, out [m, n], wn [n]. The bits of the product and of add_rms_norm. n is a multiple of 4, up to 8192.
// Unless codes_y are null, n is a multiple of 128, and codes_y and ds_y are the 24-bit codes of out (q24.h); out may be null,
// where nothing reads it otherwise.
//
// mul_mat_<q>_dot1_norm (m = 1) and _dot8_norm (m of 1 to 8). Grid ⌈n/16⌉, blocks of 256, a wave for two rows of w; the last
// block to finish makes the norms, in the order of the kernels of norm.h. counter is 0 before and after. LDS 260
// bytes. Reference: the expansion. Launched by mul_mat_add_rms_norm.go.
#include "mul_mat_dot.h"
#include "norm.h"

struct store_sum {
  const float* h;
  float* sum;
  u32 n;
  DEV_METHOD void operator()(int t, int o, float v) {
    u64 i = (u64)t * n + o;
    sum[i] = h[i] + v;
  }
};

// sum_row is a Row of what was summed.
struct sum_row {
  typedef f32x4 Side;
  const f32x4 *sum, *w;
  f32x4* out;
  u32 n;
  float eps;
  DEV_METHOD f32x4 load(u32 i) { return sum[i]; }
  DEV_METHOD Side side(u32 i) { return w[i]; }
  DEV_METHOD float factor(float squares) { return rms_factor(squares, n, eps); }
  DEV_METHOD f32x4 store(u32 i, f32x4 v, Side weight, float s) {
    f32x4 y = rms_scale(v, weight, s);
    if (out) out[i] = y;
    return y;
  }
};

DEV sum_row sum_row_of(int t, const float* sum, const float* wn, float* out, u32 n, float eps) {
  return {vectors_at(sum, t, n), vectors_at(wn, 0, n), vectors_at(out, t, n), n, eps};
}

// norm_of_wave is norm_vectors<512> by one wave, so that several make their rows at a time.
DEV void norm_of_wave(sum_row row, u32 n, u32 first, norm_out out) {
  const u32 vectors = n / 4;
  float s = 0;
  UNROLL_4 for (u32 w = 0; w < 16; w++) { // what wave w of 512 threads sums
    float p = 0;
    UNROLL for (u32 j = 0; j < NORM_VECTORS; j++) {
      u32 i = j * 512 + w * 32 + lane();
      if (j * 512 < vectors) p = i < vectors ? sum_squares(row.load(i < vectors ? i : 0), p) : p;
    }
    s += wave_sum(p);
  }
  s = row.factor(s);
  for (u32 i0 = lane(); i0 < vectors; i0 += 128) {
    f32x4 v[4], side[4];
    UNROLL for (u32 j = 0; j < 4; j++) {
      u32 i = i0 + 32 * j < vectors ? i0 + 32 * j : i0;
      v[j] = row.load(i), side[j] = row.side(i);
    }
    UNROLL for (u32 j = 0; j < 4; j++) {
      u32 i = i0 + 32 * j;
      if (i >= vectors) break;
      f32x4 y = row.store(i, v[j], side[j], s);
      if (out.form == form_codes) q24_vectors(y, first + i, q24_out{(i8*)out.codes, out.scales, out.elements});
    }
  }
}

template <class Q, int M>
DEV void mul_mat_add_rms_norm(const x24& x, const u8* RESTRICT w, const float* RESTRICT h, const float* RESTRICT wn, float* sum, float* RESTRICT out,
                              norm_out codes, u32* counter, u32 n, float eps, float (*part)[32], int* last) {
  dot_pair<Q, M>(x, w, block_x() * 16 + 2 * wave(), n, store_sum{h, sum, n});
  if (!last_block(counter, (n + 15) / 16, last)) return;
  const int rows = M == 1 ? 1 : x.m;
  if (n <= 512) { // as a wave does
    NO_UNROLL for (int t = wave(); t < rows; t += 8) norm_vectors<32>(sum_row_of(t, sum, wn, out, n, eps), n, lane(), 0, t * (n / 4), codes);
    return;
  }
  if (M > 1 && rows > 3) {
    if ((int)wave() < rows) norm_of_wave(sum_row_of(wave(), sum, wn, out, n, eps), n, wave() * (n / 4), codes);
    return;
  }
  NO_UNROLL for (int t = 0; t < rows; t++) norm_vectors<512, 256>(sum_row_of(t, sum, wn, out, n, eps), n, tid(), part[t & 1], t * (n / 4), codes);
}

#define ADD_NORM(q, m_max)                                                                                                             \
  KERNEL(256) mul_mat_##q##_dot##m_max##_norm(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT w,                \
                                              const float* RESTRICT h, const float* RESTRICT wn, float* sum, float* RESTRICT out,      \
                                              i8* RESTRICT codes_y, float* RESTRICT ds_y, u32* counter, int m, u32 n, int k, float eps) { \
    LDS float part[2][32];                                                                                                             \
    LDS int last;                                                                                                                      \
    mul_mat_add_rms_norm<q, m_max>((x24){codes, ds, m, k}, w, h, wn, sum, out, norm_out{codes_y, ds_y, m * n, codes_y ? form_codes : no_form}, counter, n, eps, part, &last); \
  }
#define ADD_NORM_OF(q) ADD_NORM(q, 1) ADD_NORM(q, 8)
ADD_NORM_OF(q8_0)
ADD_NORM_OF(q4_k)
ADD_NORM_OF(q6_k)
