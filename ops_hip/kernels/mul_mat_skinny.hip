// y[t][o] = Σ_i x[t][i]·w[o][i] with matrix instructions for few tokens, whose operands lanes load themselves (tiles.h): all but
// the codes of the weights comes from caches, and each is dequantized once. x as halves [m, k] with inverse scales
// (mul_mat_x.hip), y float [m, n]; k a multiple of 32.
//
//   mul_mat_skinny16   m of 1 to 16, of each of up to four weights w [n, k] (outputs.h); types has the type of weight i, a
//                      dot_type, in byte i. Of a single weight, y = add + x·wᵀ where add [m, n] is not null. With gate, a gate
//                      of math.h, w1 are the rows of up, and y is gated.
//   mul_mat_skinny32   m of 1 to 32, of the types with TYPE_DOT in types.def.
//
// Grid Σ⌈n/32⌉, gated ⌈n/16⌉; blocks of 256, whose eight waves share out k in steps of 128 or 256, each for 32 rows, or 16 of both
// weights. LDS 16,896 bytes for each 16 tokens.
//
// Numerics: weights are rounded to halves, products accumulate in float, eight sums in the order of the waves. Weights must be
// within ±65504. Reference: ops_ref/mul_mat.go. Launched by mul_mat_skinny.go.
#include "dot_types.h"
#include "outputs.h"
#include "tiles.h"

enum { skinny_waves = 8, skinny_rows = 32, skinny_pitch = skinny_rows + 1 };

// skinny is the operands of a block.
struct skinny {
  const half* x;
  const float* inverse;
  output w;
  const u8* up;
  const float* add;
  int m, k, gate;
};

template <class Q, int NT> DEV void mul_mat_skinny(const skinny& a, float* part) {
  typedef tiles<Q> T;
  const bool gated = a.gate != ungated;
  const int rows = gated ? skinny_rows / 2 : skinny_rows, o0 = a.w.block * rows, k = a.k;
  const i64 bytes = weight_row<Q>::bytes(k);
  const u8* w[2][tile_lane_rows];
  const half* x[NT][tile_lane_rows];
  UNROLL for (int i = 0; i < tile_lane_rows; i++) {
    UNROLL for (int r = 0; r < 2; r++) {
      int o = o0 + tile_row(i) + (gated ? 0 : 16 * r);
      w[r][i] = (gated && r ? a.up : a.w.w) + (o < a.w.n ? o : a.w.n - 1) * bytes;
    }
    UNROLL for (int t = 0; t < NT; t++) {
      int token = 16 * t + tile_row(i);
      x[t][i] = a.x + (i64)(token < a.m ? token : a.m - 1) * k + 8 * tile_octet();
    }
  }
  Acc acc[NT][2] = {};
  const int step = 32 * T::windows;
  for (int at = step * uniform(wave()); at < k; at += step * skinny_waves) {
    typename T::raw raw[2][tile_lane_rows];
    UNROLL for (int r = 0; r < 2; r++)
      UNROLL for (int i = 0; i < tile_lane_rows; i++) T::load(raw[r][i], w[r][i], k, at);
    UNROLL for (int n = 0; n < T::windows; n++) {
      if (NT > 1) fixed(); // all activations at once take too many registers
      const int from = at + T::start(n) < k ? at + T::start(n) : 0;
      window xs[NT], ws[2];
      UNROLL for (int i = 0; i < tile_lane_rows; i++)
        UNROLL for (int j = 0; j < tile_octets; j++) {
          UNROLL for (int t = 0; t < NT; t++) xs[t].octet[i][j] = *(const half8*)(x[t][i] + from + 8 * j);
          UNROLL for (int r = 0; r < 2; r++) ws[r].octet[i][j] = T::octet(raw[r][i], n, j);
        }
      UNROLL for (int s = 0; s < 2; s++)
        UNROLL for (int t = 0; t < NT; t++)
          UNROLL for (int r = 0; r < 2; r++) acc[t][r] = mma(acc[t][r], window_part(ws[r], s), window_part(xs[t], s));
    }
  }
  float* own = part + wave() * (16 * NT * skinny_pitch);
  UNROLL for (int t = 0; t < NT; t++)
    UNROLL for (int r = 0; r < 2; r++)
      UNROLL for (int e = 0; e < 8; e++) own[(16 * t + acc_col(e)) * skinny_pitch + 16 * r + acc_row(e)] = acc[t][r][e];
  barrier();
  const int row = lane(), o = o0 + row;
  UNROLL for (int b = 0; b < 2 * NT; b++) {
    const int t = skinny_waves * b + wave();
    if (t >= a.m || row >= rows || o >= a.w.n) continue;
    const float s = a.inverse[t];
    const float* p = part + t * skinny_pitch + row;
    float v = 0, u = 0;
    UNROLL for (int i = 0; i < skinny_waves; i++) v += p[i * (16 * NT * skinny_pitch)];
    if (gated) UNROLL for (int i = 0; i < skinny_waves; i++) u += p[i * (16 * NT * skinny_pitch) + 16];
    const i64 to = (i64)t * a.w.n + o;
    a.w.y[to] = gated ? gated_f(a.gate, v * s, u * s) : a.add ? a.add[to] + v * s : v * s;
  }
}

template <int NT> DEV void mul_mat_skinny(const skinny& a, u32 types, float* part) {
  switch (types >> 8 * a.w.index & 255) {
#define TYPE_DOT(q, name, block, bytes) \
  case type_##q: return mul_mat_skinny<q, NT>(a, part);
#define TYPE_DOT1(q, name, block, bytes) \
  case type_##q:                         \
    if constexpr (NT == 1) return mul_mat_skinny<q, 1>(a, part);
#include "dot_types.def"
  }
}

#define SKINNY(tokens)                                                                                                          \
  KERNEL(256) mul_mat_skinny##tokens(const half* RESTRICT x, const float* RESTRICT inverse, OUTPUTS, const float* RESTRICT add, \
                                     u32 types, int m, int k, int gate) {                                                       \
    LDS float part[skinny_waves * tokens * skinny_pitch];                                                                       \
    output w = OUTPUT(gate ? skinny_rows / 2 : skinny_rows);                                                                    \
    mul_mat_skinny<tokens / 16>(skinny{x, inverse, w, w1, add, m, k, gate}, types, part);                                       \
  }
SKINNY(16)
SKINNY(32)
