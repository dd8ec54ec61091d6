// y[t][o] = Σ_i x[t][i]·w[o][i] with integer dot products of weights and 16-bit activations, for few tokens: decoding.
// x is high and low int8 [m, k] and ds float [m, k/32][2] as mul_mat_x_q16 writes them; w [n, k] of Q8_0, Q4_K or
// Q6_K; y float [m, n]. Kernels mul_mat_<q>_dot1 (m = 1) and _dot8 (m of 1 to 8, each weight unpacked once).
//
// Grid ⌈n/4⌉, blocks of 128, a wave for a row of w, no LDS. Sums of 16 products are exact integers; they are scaled
// and added in float per lane, then in a tree over the lanes. Four products take one instruction for each byte of x,
// against eight in float, and the codes of x are finer than halves. Reference: ops_ref/mul_mat.go. Launched by
// mul_mat.go.
#include "quants.h"

// x16 is the activations of a step.
struct x16 {
  const i8 *high, *low;
  const float* ds;
  int m, k;

  // dot returns the sum of 16 products with the codes of token t from element i on, a multiple of 16.
  DEV float dot(const x16& x, int t, int i, u32x4 w, bool is_signed) {
    i64 at = (i64)t * x.k + i;
    u32x4 h = *(const u32x4*)(x.high + at), l = *(const u32x4*)(x.low + at);
    int sum_h = 0, sum_l = 0;
    UNROLL for (int j = 0; j < 4; j++) {
      sum_h = is_signed ? dot4(w[j], h[j], sum_h) : dot4_us(w[j], h[j], sum_h);
      sum_l = is_signed ? dot4(w[j], l[j], sum_l) : dot4_us(w[j], l[j], sum_l);
    }
    return (float)(254 * sum_h + sum_l);
  }
  // scale returns the step of the codes and the sum of the block of 32 that holds element i.
  DEV f32x2 scale(const x16& x, int t, int i) { return *(const f32x2*)(x.ds + 2 * ((i64)t * (x.k / 32) + i / 32)); }
};

DEV u32x4 load128_2(const u8* p) { return (u32x4){load32_2(p), load32_2(p + 4), load32_2(p + 8), load32_2(p + 12)}; }

// dot_row<Q> adds the lane's share of a row of k elements. A lane takes 16 bytes of quants at a time.
template <class Q, int M> struct dot_row;

// Two lanes a block.
template <int M> struct dot_row<q8_0, M> {
  DEV void add(const u8* RESTRICT w, const x16& x, float (&acc)[M]) {
    for (int i = 16 * lane(); i < x.k; i += 512) {
      const u8* b = w + (i64)(i / 32) * q8_0::bytes;
      u32x4 q = load128_2(b + 2 + i % 32);
      float d = half_at(b);
      UNROLL for (int t = 0; t < M; t++) {
        if (M > 1 && t >= x.m) break;
        acc[t] += d * x16::scale(x, t, i)[0] * x16::dot(x, t, i, q, true);
      }
    }
  }
};

// Eight lanes a super-block; lane 2g+h takes elements 16h to 16h+15 of sub-blocks 2g and 2g+1. The mins of both
// sub-blocks are the even lane's.
template <int M> struct dot_row<q4_k, M> {
  DEV void add(const u8* RESTRICT w, const x16& x, float (&acc)[M]) {
    int g = lane() / 2 % 4, h = lane() % 2;
    for (int i = 256 * (lane() / 8); i < x.k; i += 1024) {
      const u8* b = w + (i64)(i / 256) * q4_k::bytes;
      u32x4 q = *(const u32x4*)(b + 16 + 32 * g + 16 * h);
      int s0, m0, s1, m1, at = i + 64 * g + 16 * h;
      scale_min(b + 4, 2 * g, s0, m0);
      scale_min(b + 4, 2 * g + 1, s1, m1);
      float d = half_at(b), dmin = h ? 0 : half_at(b + 2);
      float d0 = d * (float)s0, d1 = d * (float)s1, min0 = dmin * (float)m0, min1 = dmin * (float)m1;
      UNROLL for (int t = 0; t < M; t++) {
        if (M > 1 && t >= x.m) break;
        f32x2 a = x16::scale(x, t, at), c = x16::scale(x, t, at + 32);
        float low = a[0] * x16::dot(x, t, at, q & 0x0f0f0f0f, false);
        float high = c[0] * x16::dot(x, t, at + 32, q >> 4 & 0x0f0f0f0f, false);
        acc[t] += d0 * low - min0 * a[1] + (d1 * high - min1 * c[1]);
      }
    }
  }
};

// Eight lanes a super-block; lane 4n+2u+h takes elements 16h to 16h+15 of runs u and u+2 of half n.
template <int M> struct dot_row<q6_k, M> {
  // centre turns 6-bit codes, one a byte, into signed bytes code-32.
  DEV u32x4 centre(u32x4 q) {
    q ^= 0x20202020;
    u32x4 negative = q & 0x20202020;
    return q | negative << 1 | negative << 2;
  }
  DEV void add(const u8* RESTRICT w, const x16& x, float (&acc)[M]) {
    int n = lane() / 4 % 2, u = lane() / 2 % 2, h = lane() % 2;
    for (int i = 256 * (lane() / 8); i < x.k; i += 1024) {
      const u8* b = w + (i64)(i / 256) * q6_k::bytes;
      u32x4 low = load128_2(b + 64 * n + 32 * u + 16 * h), high = load128_2(b + 128 + 32 * n + 16 * h) >> 2 * u;
      u32x4 q0 = centre((low & 0x0f0f0f0f) | (high & 0x03030303) << 4);
      u32x4 q1 = centre((low >> 4 & 0x0f0f0f0f) | (high >> 4 & 0x03030303) << 4);
      int at = i + 128 * n + 32 * u + 16 * h;
      const i8* scales = (const i8*)b + 192 + 8 * n + 2 * u + h;
      float d = half_at(b + 208), d0 = d * (float)scales[0], d1 = d * (float)scales[4];
      UNROLL for (int t = 0; t < M; t++) {
        if (M > 1 && t >= x.m) break;
        acc[t] += d0 * x16::scale(x, t, at)[0] * x16::dot(x, t, at, q0, true);
        acc[t] += d1 * x16::scale(x, t, at + 64)[0] * x16::dot(x, t, at + 64, q1, true);
      }
    }
  }
};

template <class Q, int M>
DEV void mul_mat_dot(const i8* RESTRICT high, const i8* RESTRICT low, const float* RESTRICT ds, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) {
  int o = block_x() * 4 + wave();
  if (o >= n) return;
  float acc[M] = {};
  dot_row<Q, M>::add(w + o * row_bytes<Q>(k), (x16){high, low, ds, m, k}, acc);
  UNROLL for (int t = 0; t < M; t++) {
    float s = wave_sum(acc[t]);
    if ((M == 1 || t < m) && lane() == 0) y[(i64)t * n + o] = s;
  }
}

#define DOT_KERNEL(q, m_max)                                                                                              \
  KERNEL(128) mul_mat_##q##_dot##m_max(const i8* RESTRICT high, const i8* RESTRICT low, const float* RESTRICT ds,            \
                                       const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) {                       \
    mul_mat_dot<q, m_max>(high, low, ds, w, y, m, n, k);                                                                     \
  }
#define DOT(q) DOT_KERNEL(q, 1) DOT_KERNEL(q, 8)
DOT(q8_0)
DOT(q4_k)
DOT(q6_k)
