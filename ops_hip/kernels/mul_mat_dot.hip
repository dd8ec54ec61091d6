// y[t][o] = Σ_i x[t][i]·w[o][i] with activations of 8 bits and integer dot products, for few tokens: decoding. x is
// q int8 [m, k] and ds float [m, k/32][2] as mul_mat_x_q8 writes them; w [n, k] of Q8_0, Q4_K or Q6_K; y float
// [m, n]. Kernels mul_mat_<q>_dot1 (m = 1) and _dot8 (m of 1 to 8, each weight unpacked once).
//
// Grid ⌈n/4⌉, blocks of 128, a wave for a row of w, no LDS. Sums of up to 16 products are exact integers; they are
// scaled and added in float per lane, then in a tree over the lanes. The rounding of x to 8 bits dominates the error.
// Reference: ops_ref/mul_mat.go. Launched by mul_mat.go.
#include "quants.h"

// x8 is the quantized activations of a step.
struct x8 {
  const i8* q;
  const float* ds;
  int m, k;
  // words returns the bytes of token t from element i on, a multiple of 16.
  DEV u32x4 words(const x8& x, int t, int i) { return *(const u32x4*)(x.q + (i64)t * x.k + i); }
  // scale returns d and d·Σq of the block of 32 that holds element i.
  DEV f32x2 scale(const x8& x, int t, int i) { return *(const f32x2*)(x.ds + 2 * ((i64)t * (x.k / 32) + i / 32)); }
};

DEV int dot16(u32x4 a, u32x4 b) {
  int s = 0;
  UNROLL for (int i = 0; i < 4; i++) s = dot4(a[i], b[i], s);
  return s;
}
DEV int dot16_us(u32x4 a, u32x4 b) {
  int s = 0;
  UNROLL for (int i = 0; i < 4; i++) s = dot4_us(a[i], b[i], s);
  return s;
}
DEV u32x4 load128_2(const u8* p) { return (u32x4){load32_2(p), load32_2(p + 4), load32_2(p + 8), load32_2(p + 12)}; }

// dot_row<Q> adds the lane's share of a row of k elements. A lane takes 16 bytes of quants at a time.
template <class Q, int M> struct dot_row;

// Two lanes a block.
template <int M> struct dot_row<q8_0, M> {
  DEV void add(const u8* RESTRICT w, const x8& x, float (&acc)[M]) {
    for (int i = 16 * lane(); i < x.k; i += 512) {
      const u8* b = w + (i64)(i / 32) * q8_0::bytes;
      u32x4 q = load128_2(b + 2 + i % 32);
      float d = half_at(b);
      UNROLL for (int t = 0; t < M; t++) {
        if (M > 1 && t >= x.m) break;
        acc[t] += d * x8::scale(x, t, i)[0] * (float)dot16(q, x8::words(x, t, i));
      }
    }
  }
};

// Eight lanes a super-block; lane 2g+h takes elements 16h to 16h+15 of sub-blocks 2g and 2g+1. The mins of both
// sub-blocks are the even lane's.
template <int M> struct dot_row<q4_k, M> {
  DEV void add(const u8* RESTRICT w, const x8& x, float (&acc)[M]) {
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
        f32x2 a = x8::scale(x, t, at), c = x8::scale(x, t, at + 32);
        float low = a[0] * (float)dot16_us(q & 0x0f0f0f0f, x8::words(x, t, at));
        float high = c[0] * (float)dot16_us(q >> 4 & 0x0f0f0f0f, x8::words(x, t, at + 32));
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
  DEV void add(const u8* RESTRICT w, const x8& x, float (&acc)[M]) {
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
        acc[t] += d0 * x8::scale(x, t, at)[0] * (float)dot16(q0, x8::words(x, t, at));
        acc[t] += d1 * x8::scale(x, t, at + 64)[0] * (float)dot16(q1, x8::words(x, t, at + 64));
      }
    }
  }
};

template <class Q, int M>
DEV void mul_mat_dot(const i8* RESTRICT xq, const float* RESTRICT ds, const u8* RESTRICT w, float* RESTRICT y, int m, int n, int k) {
  int o = block_x() * 4 + wave();
  if (o >= n) return;
  float acc[M] = {};
  dot_row<Q, M>::add(w + o * row_bytes<Q>(k), (x8){xq, ds, m, k}, acc);
  UNROLL for (int t = 0; t < M; t++) {
    float s = wave_sum(acc[t]);
    if ((M == 1 || t < m) && lane() == 0) y[(i64)t * n + o] = s;
  }
}

#define DOT(q)                                                                                               \
  KERNEL(128) mul_mat_##q##_dot1(const i8* RESTRICT x, const float* RESTRICT ds, const u8* RESTRICT w,       \
                                 float* RESTRICT y, int m, int n, int k) {                                   \
    mul_mat_dot<q, 1>(x, ds, w, y, m, n, k);                                                                 \
  }                                                                                                          \
  KERNEL(128) mul_mat_##q##_dot8(const i8* RESTRICT x, const float* RESTRICT ds, const u8* RESTRICT w,       \
                                 float* RESTRICT y, int m, int n, int k) {                                   \
    mul_mat_dot<q, 8>(x, ds, w, y, m, n, k);                                                                 \
  }
DOT(q8_0)
DOT(q4_k)
DOT(q6_k)
