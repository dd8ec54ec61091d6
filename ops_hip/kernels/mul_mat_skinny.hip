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
// On NVIDIA, whose matrix instructions take 8 tokens, there are mul_mat_skinny8 for m of up to 8, and _gated of it and of skinny16
// for those with gate. Those without have blocks of 16 rows, grid Σ⌈n/16⌉: small matrices are to fill the chip. LDS 49,152 bytes,
// through which weights of Q4_K and Q6_K come (add_staged, add_scaled).
//
// Numerics: tokens are rounded to halves, and weights as well but on NVIDIA (tiles.h), where some of Q6_K lose what they have beyond
// 11 bits (scaled_units.h); products accumulate in float, eight sums in the order of the waves. Weights must be within ±65504.
// Reference: ops_ref/mul_mat.go. Launched by mul_mat_skinny.go.
#include "dot_types.h"
#include "outputs.h"
#include "scaled_units.h"
#include "tiles.h"

enum { skinny_waves = 8, skinny_pitch = 33 };

// skinny is the operands of a block.
struct skinny {
  const half* x;
  const float* inverse;
  output w;
  const u8* up;
  const float* add;
  int m, k, gate;
};

// lane_rows are the rows of weights and of activations that a lane reads.
template <int NT, int R> struct lane_rows {
  const u8* w[R][tile_lane_rows];
  const half* x[NT];
  int k;

  // load_x reads the lane's of a window from element `from` on, of which those past the end are multiplied by nothing.
  DEV_METHOD void load_x(half8 (&to)[NT][tile_octets], int from) const {
    if (from >= k) from = 0;
    UNROLL for (int t = 0; t < NT; t++)
      UNROLL for (int j = 0; j < tile_octets; j++) to[t][j] = *(const half8*)(x[t] + from + 8 * j);
  }
};

// add_rows adds to sums the products of what falls to the wave of the rows.
template <class Q, int WAVES, int NT, int R> DEV void add_rows(tile_sum (&sums)[NT][R], const lane_rows<NT, R>& rows) {
  typedef own_tiles<Q> T;
  constexpr int step = 32 * T::parts * T::windows;
  await_launches();
  for (int at = step * uniform(wave()); at < rows.k; at += step * WAVES) {
    typename T::head head[R][tile_lane_rows];
    typename T::part d[T::parts][R][tile_lane_rows];
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int i = 0; i < tile_lane_rows; i++) {
        T::load_head(head[r][i], rows.w[r][i], rows.k, at, 0);
        UNROLL for (int p = 0; p < T::parts; p++) T::load_part(d[p][r][i], rows.w[r][i], rows.k, at, p);
      }
    UNROLL for (int p = 0; p < T::parts; p++)
      UNROLL for (int i = 0; i < T::windows; i++) {
        fixed(); // all activations at once take too many registers
        half8 xs[NT][tile_octets];
        rows.load_x(xs, at + T::start(p, i));
        add_window<Q>(sums, head, d[p], p, i, xs);
      }
  }
}

#if GPU_NVIDIA
// add_staged does the same by way of LDS, of which the wave has stage_bytes at `lds`: so many units are on the way while one is
// used.
enum { stage_bytes = 6144 };
template <class Q, int WAVES, int NT, int R> DEV void add_staged(tile_sum (&sums)[NT][R], const lane_rows<NT, R>& rows, u8* lds) {
  typedef own_tiles<Q> T;
  typedef staged<Q> S;
  constexpr int slot_bytes = S::bytes * R, slots = stage_bytes / slot_bytes;
  const int units = rows.k / 128;
  const u32 base = lds_address(lds), g = (u32)lane() >> 2;
  auto copy = [&](int u, int slot) {
    if (u < units)
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int i = 0; i < 2; i++) S::copy(base + slot * slot_bytes + S::bytes * r, 8 * i + g, rows.w[r][i], rows.k, u);
    copies_end();
  };
  auto load_words = [&](u32 (&words)[R][2], int u) {
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int i = 0; i < 2; i++) words[r][i] = S::load_word(rows.w[r][i], rows.k, u < units ? u : 0);
  };
  typedef half8 windows_of[2][NT][tile_octets];
  auto load_x = [&](windows_of& xs, int u, int p) {
    UNROLL for (int i = 0; i < 2; i++) rows.load_x(xs[i], 128 * u + T::start(p, i));
  };
  int u = uniform(wave()), slot = 0;
  u32 words[R][2];
  windows_of xs[2];
  UNROLL for (int n = 0; n < slots - 1; n++) copy(u + n * WAVES, n);
  load_words(words, u);
  await_launches();
  load_x(xs[0], u, 0);
  for (; u < units; u += WAVES) {
    copy(u + (slots - 1) * WAVES, slot ? slot - 1 : slots - 1);
    typename T::head head[R][2];
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int i = 0; i < 2; i++) S::set_head(head[r][i], words[r][i]);
    load_words(words, u + WAVES);
    copies_done<slots - 1>();
    UNROLL for (int p = 0; p < 2; p++) {
      p ? load_x(xs[0], u + WAVES, 0) : load_x(xs[1], u, 1);
      typename T::part d[R][2];
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int i = 0; i < 2; i++) S::load_part(d[r][i], base + slot * slot_bytes + S::bytes * r, 8 * i + g, p);
      UNROLL for (int i = 0; i < 2; i++) add_window<Q>(sums, head, d, p, i, xs[p][i]);
    }
    wave_fence(); // before others copy to where this lane has read
    slot = slot + 1 < slots ? slot + 1 : 0;
  }
}
// add_scaled does the same for types of scaled_units.h, a block of 256 elements after the other: that takes fewer instructions, but it
// reads tokens in smaller pieces.
template <class Q, int WAVES, int NT, int R> DEV void add_scaled(tile_sum (&sums)[NT][R], const lane_rows<NT, R>& rows, u8* lds) {
  typedef scaled_units<Q> U;
  typedef staged<Q> S;
  constexpr int slot_bytes = S::bytes * R, slots = stage_bytes / slot_bytes, ahead = slots - 1;
  const int blocks = rows.k / 256;
  const u32 base = lds_address(lds), g = (u32)lane() >> 2;
  int n = uniform(wave()), slot = 0;
  // copy asks for a unit of the wave's block n or of those that it has after that: unit `at`, counted from the first of n.
  auto copy = [&](int at, int slot) {
    const int b = n + WAVES * (at / 2);
    if (b < blocks)
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int i = 0; i < 2; i++) S::copy(base + slot * slot_bytes + S::bytes * r, 8 * i + g, rows.w[r][i], rows.k, 2 * b + at % 2);
    copies_end();
  };
  typename U::block next[R][2];
  auto load_heads = [&](int b) {
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int i = 0; i < 2; i++) U::load(next[r][i], rows.w[r][i], rows.k, b < blocks ? b : 0);
  };
  // load_x reads what the lane multiplies with run i of unit u of block b.
  const int chunk = 8 * ((int)U::chunk() - tile_octet());
  u32x4 xs[2][NT][2];
  auto load_x = [&](int b, int u, int i) {
    if (b >= blocks) b = 0;
    UNROLL for (int t = 0; t < NT; t++)
      UNROLL for (int j = 0; j < 2; j++) xs[i][t][j] = *(const u32x4*)(rows.x[t] + chunk + 256 * b + 128 * u + 8 * (U::run_chunk * i + j));
  };
  UNROLL for (int at = 0; at < ahead; at++) copy(at, at);
  load_heads(n);
  await_launches();
  load_x(n, 0, 0);
  for (; n < blocks; n += WAVES) {
    typename U::block head[R][2];
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int i = 0; i < 2; i++) head[r][i] = next[r][i];
    scaled_sums<Q, NT, R, 1> acc;
    UNROLL for (int u = 0; u < 2; u++) {
      copy(u + ahead, slot ? slot - 1 : slots - 1);
      if (u == 0) load_heads(n + WAVES);
      copies_done<ahead>();
      typename U::unit w[R][2];
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int i = 0; i < 2; i++) U::set(w[r][i], head[r][i], base + slot * slot_bytes + S::bytes * r, 8 * i + g, u);
      UNROLL for (int i = 0; i < 2; i++) {
        i == 0 ? load_x(n, u, 1) : u == 0 ? load_x(n, 1, 0) : load_x(n + WAVES, 0, 0);
        acc.add(w, u, i, [&](int j, int t, int) { return xs[i][t][j]; });
      }
      wave_fence(); // before others copy to where this lane has read
      slot = slot + 1 < slots ? slot + 1 : 0;
    }
    acc.end(sums, head);
  }
}
#else
enum { stage_bytes = 0 };
#endif

template <class Q, int TOKENS, int R> DEV void mul_mat_skinny(const skinny& a, float* part) {
  constexpr int NT = TOKENS / token_tile, pitch = stage_bytes ? stage_bytes / 4 : TOKENS * skinny_pitch;
  const bool gated = R > 1 && a.gate != ungated;
  const int rows = gated ? 16 : 16 * R, o0 = a.w.block * rows;
  const i64 bytes = weight_row<Q>::bytes(a.k);
  lane_rows<NT, R> own;
  own.k = a.k;
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int i = 0; i < tile_lane_rows; i++) {
      int o = o0 + tile_row(i) + (gated ? 0 : 16 * r);
      own.w[r][i] = (gated && r ? a.up : a.w.w) + (o < a.w.n ? o : a.w.n - 1) * bytes;
    }
  UNROLL for (int t = 0; t < NT; t++) {
    int token = token_tile * t + tile_row(0);
    own.x[t] = a.x + (i64)(token < a.m ? token : a.m - 1) * a.k + 8 * tile_octet();
  }
  tile_sum sums[NT][R] = {};
  float* sums_at = part + wave() * pitch;
#if GPU_NVIDIA
  // Of two tiles of tokens add_scaled gives fewer: 3,350 tokens/s of 16 sequences of an 8B on an H200, not 3,550.
  if constexpr (staged<Q>::bytes && NT == 2)
    add_staged<Q, skinny_waves>(sums, own, (u8*)sums_at);
  else if constexpr (staged<Q>::bytes)
    add_scaled<Q, skinny_waves>(sums, own, (u8*)sums_at);
  else
#endif
    add_rows<Q, skinny_waves>(sums, own);
  allow_launches();
  UNROLL for (int t = 0; t < NT; t++)
    UNROLL for (int r = 0; r < R; r++)
      UNROLL for (int e = 0; e < (int)(sizeof(tile_sum) / 4); e++)
        sums_at[(token_tile * t + sum_token(e)) * skinny_pitch + 16 * r + sum_row(e)] = sums[t][r][e];
  barrier();
  const int row = lane(), o = o0 + row;
  UNROLL for (int b = 0; b < TOKENS / skinny_waves; b++) {
    const int t = skinny_waves * b + wave();
    if (t >= a.m || row >= rows || o >= a.w.n) continue;
    const float s = a.inverse[t];
    const float* p = part + t * skinny_pitch + row;
    float v = 0, u = 0;
    UNROLL for (int i = 0; i < skinny_waves; i++) v += p[i * pitch];
    if (gated) UNROLL for (int i = 0; i < skinny_waves; i++) u += p[i * pitch + 16];
    const i64 to = (i64)t * a.w.n + o;
    a.w.y[to] = gated ? gated_f(a.gate, v * s, u * s) : a.add ? a.add[to] + v * s : v * s;
  }
}

template <int TOKENS, int R> DEV void mul_mat_skinny(const skinny& a, u32 types, float* part) {
  switch (types >> 8 * a.w.index & 255) {
#define TYPE_DOT(q, name, block, bytes) \
  case type_##q: return mul_mat_skinny<q, TOKENS, R>(a, part);
#define TYPE_DOT1(q, name, block, bytes) \
  case type_##q:                         \
    if constexpr (TOKENS <= 16) return mul_mat_skinny<q, TOKENS, R>(a, part);
#include "dot_types.def"
  }
}

#define SKINNY(name, tokens, R, KERNEL)                                                                                         \
  KERNEL(256) mul_mat_skinny##name(const half* RESTRICT x, const float* RESTRICT inverse, OUTPUTS, const float* RESTRICT add,   \
                                   u32 types, int m, int k, int gate) {                                                         \
    LDS float part[skinny_waves * (stage_bytes ? stage_bytes / 4 : tokens * skinny_pitch)];                                     \
    output w = R > 1 && gate ? output{w0, y0, n0, 0, (int)block_x()} : OUTPUT(16 * R);                                          \
    mul_mat_skinny<tokens, R>(skinny{x, inverse, w, w1, add, m, k, gate}, types, part);                                         \
  }
#if GPU_NVIDIA
SKINNY(8, 8, 1, KERNEL_TWICE)
SKINNY(8_gated, 8, 2, KERNEL_TWICE)
SKINNY(16, 16, 1, KERNEL_TWICE)
SKINNY(16_gated, 16, 2, KERNEL_TWICE)
#else
SKINNY(16, 16, 2, KERNEL)
#endif
SKINNY(32, 32, 2, KERNEL)
