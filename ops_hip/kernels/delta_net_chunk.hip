// The gated delta rule, 32 tokens at a time, with matrix instructions: for gated_delta_net, with operands as in
// gated_delta_net.hip, and for delta_net_core behind its convolution, with operands as in delta_net_core.hip. dk is n; dv is a
// multiple of 16.
//
// With G_i the sum of g up to token i of a chunk and S the state before it (section 3 of the paper that delta_net.h names):
//
//   (1 + A)·U = beta·X    A_ij = beta_i·e^(G_i-G_j)·k_i·k_j, j < i    X_i = v_i - e^G_i·S·k_i
//   o_i = scale·(e^G_i·S·q_i + Σ_j B_ij·U_j)    B_ij = e^(G_i-G_j)·q_i·k_j, j ≤ i
//   S'  = e^G_n·S + Σ_j e^(G_n-G_j)·U_j⊗k_j
//
// What does not depend on S is made for all chunks at once. Three launches, whose chunks are those of sequence 0, then those of
// sequence 1, and so on:
//
//   gated_delta_net_f32_chunk_keys<n>, delta_net_core_f32_chunk_keys<n>
//                   k, q, T = 1/(1+A)·beta and B. Grid (nk, ⌊tokens/32⌋ + sequences), blocks of 256. LDS 48,192 bytes for n = 128.
//   delta_net_f32_chunk<n>
//                   S from chunk to chunk, and o. Grid (nv·⌈dv/64⌉, sequences), blocks of 128; in another row of blocks o of the
//                   padding becomes 0. A wave has 16 rows of S of a head, which no other wave needs. LDS 16 KiB, or 32 where
//                   copies need no registers.
//   delta_net_core_f32_chunk_end
//                   The gated norm of o, and of zeros for padding; `share` is 1/dv. Grid (tokens, ⌈nv/16⌉), blocks of 128: half
//                   of a wave has two rows. No LDS. dv is at most 128.
//
// Sequences that keep states, if kept is above 0, are left alone. Tokens past the end of a sequence count as zeros, which change
// nothing. No exponent is positive.
//
// Numerics: factors of products are split into a half and the half of what it lacks, 22 bits, and the product of the two rests
// is left out; sums are in float. Factors are scaled by powers of two, such that halves hold them: rows of S, X and U, T and B
// each by its largest element, k and q too unless they have unit length. T is solved for in float. Sums of g are in 64 bits, exactly.
//
// References: ops_ref/gated_delta_net.go, and the expansion of delta_net_core. Launched by delta_net_chunk.go.
#include "delta_net_chunk.h"
#include "delta_net_core.h"
#include "math.h"

enum { chunk_tokens = 32 };
// What elements of vectors of unit length are scaled by. Scaled elements of k are at most 64 in any case: see chunk_scan.
#define KEY_SCALE 64.0f
#define QUERY_SCALE 4096.0f

// chunk_key is what the value heads of a key head share of a chunk.
template <int N> struct chunk_key {
  half kq[N / 16][4][pair_halves];            // by columns: two tiles of tokens of k, then of q
  half transposed[N / 32][2][2][pair_halves]; // by tiles of tokens of k, whose rows are columns: two tiles of them
};

// chunk_value is what a value head has of its own: tiles (0, 0), (1, 0) and (1, 1) of matrices, and vectors.
struct chunk_value {
  half t[3][pair_halves], b[3][pair_halves];
  float decay[chunk_tokens], tail[chunk_tokens];         // e^G, and e^(G_n-G)
  float total, k_scale, t_scale;                         // total is e^G_n
  float k_unscale, q_unscale, t_unscale, b_unscale;      // inverses of what these are scaled by
  float unused;
};

// chunk_count returns how many chunks n tokens are.
DEV int chunk_count(int n) { return (n + chunk_tokens - 1) / chunk_tokens; }

// chunk_at finds chunk c: sequence b, from token t on. It returns false if there are not so many.
DEV bool chunk_at(const int* starts, int sequences, int c, int& b, int& t) {
  for (b = 0; b < sequences; b++) {
    const int n = chunk_count(starts[b + 1] - starts[b]);
    t = starts[b] + chunk_tokens * c;
    if (c < n) return true;
    c -= n;
  }
  return false;
}

// chunk_power is factor·2^exponent.
struct chunk_power {
  float factor;
  int exponent;
};

// chunk_lds is what chunk_keys keeps in LDS. Rows are padded against bank conflicts.
template <int N> struct chunk_lds {
  union {
    half parts[2][2 * chunk_tokens][N + 8]; // k, then q, and their rests
    float columns[4][chunk_tokens][36];     // of A, then of T, of four value heads
  };
  float products[2][chunk_tokens][36]; // k·k and q·k
  chunk_power rows[8][chunk_tokens], cols[8][chunk_tokens]; // what waves multiply those by: see chunk_gates
  float largest[2][8];                 // of k and q, by waves
};

// chunk_scales are what k and q are multiplied by, and the inverses.
struct chunk_scales {
  float k, q, k_unscale, q_unscale;
};

// chunk_rows brings k and q of a chunk to LDS, scaled, and at unit length if FORM is DELTA_CORE.
template <int N, int FORM> DEV chunk_scales chunk_rows(const delta& a, int key, int t0, int last, chunk_lds<N>& m) {
  const int l = lane() < N / 4 ? lane() : N / 4 - 1, w = uniform(wave());
  const bool has = lane() < N / 4;
  f32x4 x[8];
  UNROLL for (int i = 0; i < 8; i++) {
    const int t = t0 + w + 8 * (i % 4);
    const float* row = (i < 4 ? a.k : a.q) + (i64)(t < last ? t : last - 1) * a.qk_pitch + key * N;
    x[i] = *(const f32x4*)((const u8*)row + lane_apart(16 * (u32)l));
  }
  chunk_scales by = {KEY_SCALE, QUERY_SCALE, 1 / KEY_SCALE, 1 / QUERY_SCALE};
  if (FORM != DELTA_CORE) {
    float most[2] = {};
    UNROLL for (int i = 0; i < 8; i++)
      UNROLL for (int e = 0; e < 4; e++) most[i / 4] = __builtin_fmaxf(most[i / 4], __builtin_fabsf(x[i][e]));
    UNROLL for (int i = 0; i < 2; i++) {
      const float all = wave_max(most[i]);
      if (lane() == 0) m.largest[i][w] = all;
    }
    barrier();
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int o = 0; o < 8; o++) most[i] = __builtin_fmaxf(most[i], m.largest[i][o]);
    const float least = 0x1p-14f; // scales beyond would add nothing but exponents that steps of S cannot hold
    by.k = half_scale(__builtin_fmaxf(most[0], least), by.k_unscale) * 0x1p-9f, by.k_unscale *= 0x1p9f;
    by.q = half_scale(__builtin_fmaxf(most[1], least), by.q_unscale);
  }
  UNROLL for (int i = 0; i < 8; i++) {
    const int at = w + 8 * (i % 4) + (i < 4 ? 0 : chunk_tokens);
    float s = i < 4 ? by.k : by.q;
    if (FORM == DELTA_CORE) s *= rsqrt(wave_sum(has ? sum_squares(x[i], 0) : 0) + (i < 4 ? a.k_eps : a.q_eps));
    s = t0 + w + 8 * (i % 4) < last ? s : 0;
    half2 high[2], low[2];
    split_four(x[i], s, high, low);
    if (has) put_four(m.parts[0][at], 4 * l, high), put_four(m.parts[1][at], 4 * l, low);
  }
  return by;
}

// chunk_export stores what all value heads share, of which each wave has every eighth tile.
template <int N> DEV void chunk_export(chunk_key<N>& to, const chunk_lds<N>& m) {
  const int w = uniform(wave());
  const u32 own = lane_apart(16 * (u32)lane());
  UNROLL for (int i = w / 4, n = 0; n < N / 32; i += 2, n++)
    UNROLL for (int p = 0; p < 2; p++) {
      u32x4 words;
      UNROLL for (int j = 0; j < 4; j++)
        words[j] = *(const u32*)&m.parts[p][16 * (w % 4) + shared_row(2 * j)][16 * i + shared_at(2 * j)];
      *(u32x4*)((u8*)(to.kq[i][w % 4] + tile_halves * p) + own) = words;
    }
  if (N < 64 && w >= 4) return;
  UNROLL for (int i = w / 2, n = 0; n < (N + 63) / 64; i += 4, n++)
    UNROLL for (int p = 0; p < 2; p++) {
      half8 v;
      UNROLL for (int e = 0; e < 8; e++) v[e] = m.parts[p][16 * (w % 2) + shared_k(e)][column_at(16 * i + shared_row(e))];
      *(half8*)((u8*)(to.transposed[i / 2][w % 2][i % 2] + tile_halves * p) + own) = v;
    }
}

// chunk_products computes k·k and q·k where a tile has elements on or below the diagonal: a tile for each of six waves. In tiles
// of k·k on the diagonal, what the rests add on one side is what they add on the other, across the diagonal.
template <int N> DEV void chunk_products(const chunk_scales& by, chunk_lds<N>& m) {
  const int w = uniform(wave());
  if (w == 6) // what chunk_solve reads and does not use
    UNROLL for (int i = 0; i < 2; i++) *(f32x4*)&m.products[0][8 * i + lane() / 4][16 + 4 * (lane() % 4)] = 0;
  if (w >= 6) return;
  const int row = w % 3 > 0 ? 16 : 0, col = w % 3 > 1 ? 16 : 0, first = w < 3 ? row : chunk_tokens + row;
  const bool mirrored = w < 3 && row == col;
  Acc high = {}, low = {};
  UNROLL for (int k = 0; k < N; k += 16) {
    const FragA a = load_a(&m.parts[0][first][k], N + 8), a_low = load_a(&m.parts[1][first][k], N + 8);
    const FragB b = load_b(&m.parts[0][col][k], N + 8);
    low = mma(low, a_low, b);
    high = mma(high, a, b);
    if (!mirrored) low = mma(low, a, load_b(&m.parts[1][col][k], N + 8));
  }
  float(*to)[36] = &m.products[w / 3][row];
  if (mirrored) {
    UNROLL for (int e = 0; e < 8; e++) to[acc_row(e)][col + acc_col(e)] = low[e];
    wave_fence();
    UNROLL for (int e = 0; e < 8; e++) low[e] += to[acc_col(e)][col + acc_row(e)];
    wave_fence();
  }
  const float unscale = (w < 3 ? by.k_unscale : by.q_unscale) * by.k_unscale;
  UNROLL for (int e = 0; e < 8; e++) to[acc_row(e)][col + acc_col(e)] = (high[e] + low[e]) * unscale;
}

// chunk_tile says which elements of a chunk's matrix are in tile i of chunk_value.
DEV int chunk_tile_row(int i, int e) { return (i > 0 ? 16 : 0) + shared_row(e); }
DEV int chunk_tile_col(int i, int e) { return (i > 1 ? 16 : 0) + shared_k(e); }

// power_of returns e^g as a power of two, with 32 bits of the exponent behind the point: sums of those are exact, and differences
// of sums count, where a float would not have much of them left behind tokens that forget.
DEV i64 power_of(float g) {
  g = within(g, 0x1p16f); // what is beyond leaves nothing, or is infinite
  const float n = __builtin_rintf(g * LOG2E), rest = __builtin_fmaf(g, LOG2E_LOW, __builtin_fmaf(g, LOG2E, -n));
  return ((i64)(int)n << 32) + ((i64)(int)(rest * 0x1p31f) << 1);
}

// chunk_gate is what is known of the lane's token.
struct chunk_gate {
  float beta;
  chunk_power sum, inverse; // e^G, whose factor is at least 1, and e^-G
};

// chunk_gates returns those of the wave's value head. No factor of a power is far from 1, so that e^(G_i-G_j) is the product of
// factors with the difference of exponents, which does not overflow.
template <int FORM> DEV chunk_gate chunk_gates(const delta& a, int h, int t0, int last) {
  const int t = t0 + lane();
  float g, beta;
  delta_gates<FORM>(a, t < last ? t : last - 1, h, g, beta);
  if (g != g) beta = g;
  i64 sum = power_of(g);
  if (t >= last) sum = 0, beta = 0;
  UNROLL for (int d = 1; d < 32; d *= 2) {
    const u32 low = (u32)shfl((int)sum, lane() - d & 31);
    const int high = shfl((int)(sum >> 32), lane() - d & 31);
    if (lane() >= d) sum += (i64)high << 32 | low;
  }
  const int n = (int)(sum >> 32);
  const float f = (float)(u32)sum * 0x1p-32f;
  return {beta, {exp2_approx(f), n}, {exp2_approx(-f), -n}};
}

// chunk_solve stores T with columns multiplied by beta, and the vectors: lane j of a wave has column j.
template <int N, int FORM>
DEV void chunk_solve(const delta& a, int h, int t0, int last, const chunk_scales& by, chunk_value& to, chunk_lds<N>& m) {
  const chunk_gate own = chunk_gates<FORM>(a, h, t0, last);
  float t[chunk_tokens];
  chunk_power* const rows = m.rows[wave()];
  rows[lane()] = {-own.beta * own.sum.factor, own.sum.exponent};
  const int at = token_slot(lane()), end = shfl(own.sum.exponent, chunk_tokens - 1);
  const float decay = times_power(own.sum.factor, own.sum.exponent);
  to.decay[at] = decay;
  to.tail[at] = times_power(shfl(own.sum.factor, chunk_tokens - 1) * own.inverse.factor, end + own.inverse.exponent);
  if (lane() == chunk_tokens - 1) to.total = decay, to.k_scale = by.k, to.k_unscale = by.k_unscale, to.q_unscale = by.q_unscale;
  float(*columns)[36] = m.columns[wave() % 4];
  wave_fence();
  const twice inverse(own.inverse.factor);
  UNROLL for (int i = 0; i < chunk_tokens; i += 4) { // -A; what is not below the diagonal is not used
    f32x4 v;
    UNROLL for (int e = 0; e < 4; e++)
      v[e] = times_power(m.products[0][i + e][lane()] * rows[i + e].factor * inverse.at(e), rows[i + e].exponent + own.inverse.exponent);
    *(f32x4*)&columns[lane()][i] = v;
  }
  wave_fence();
  UNROLL for (int i = 0; i < chunk_tokens; i++) t[i] = in_lane(i, own.beta);
  UNROLL for (int j = 0; j < chunk_tokens - 1; j++) {
    const twice known(t[j]);
    UNROLL for (int i = j + 1 & ~3; i < chunk_tokens; i += 4) {
      const f32x4 v = *(const f32x4*)&columns[j][i];
      UNROLL for (int e = 0; e < 4; e++)
        if (i + e > j) t[i + e] = __builtin_fmaf(v[e], known.at(e), t[i + e]);
    }
  }
  wave_fence();
  UNROLL for (int i = 0; i < chunk_tokens; i += 4) *(f32x4*)&columns[lane()][i] = (f32x4){t[i], t[i + 1], t[i + 2], t[i + 3]};
  wave_fence();
  float most = 0, unscale;
  UNROLL for (int i = 0; i < chunk_tokens; i++) most = __builtin_fmaxf(most, __builtin_fabsf(t[i]));
  const float scale = half_scale(wave_max(most), unscale);
  if (lane() == 0) to.t_scale = scale, to.t_unscale = unscale;
  UNROLL for (int i = 0; i < 3; i++) {
    Acc v;
    UNROLL for (int e = 0; e < 8; e++) v[e] = columns[chunk_tile_col(i, e)][chunk_tile_row(i, e)];
    put_pair(to.t[i], v, scale);
  }
}

// chunk_reads stores B.
template <int N, int FORM> DEV void chunk_reads(const delta& a, int h, int t0, int last, chunk_value& to, chunk_lds<N>& m) {
  const chunk_gate own = chunk_gates<FORM>(a, h, t0, last);
  chunk_power *const rows = m.rows[wave()], *const cols = m.cols[wave()];
  rows[lane()] = own.sum, cols[lane()] = own.inverse;
  wave_fence();
  float most = 0, unscale;
  Acc v[3];
  UNROLL for (int i = 0; i < 3; i++)
    UNROLL for (int e = 0; e < 8; e++) {
      const int row = chunk_tile_row(i, e), col = chunk_tile_col(i, e);
      const float b = times_power(m.products[1][row][col] * rows[row].factor * cols[col].factor, rows[row].exponent + cols[col].exponent);
      v[i][e] = i == 1 || shared_k(e) <= shared_row(e) ? b : 0;
      most = __builtin_fmaxf(most, __builtin_fabsf(v[i][e]));
    }
  const float scale = half_scale(wave_max(most), unscale);
  if (lane() == 0) to.b_unscale = unscale;
  UNROLL for (int i = 0; i < 3; i++) put_pair(to.b[i], v[i], scale);
}

// chunk_keys prepares a chunk of a key head. Half of the waves solve for T of a value head each, the others make B.
template <int N, int FORM> DEV void chunk_keys(const delta& a, chunk_key<N>* keys, chunk_value* values, chunk_lds<N>& m) {
  const int key = block_x(), c = block_y(), group = a.nv / a.nk, w = uniform(wave());
  int b, t0;
  if (!chunk_at(a.starts, a.sequences, c, b, t0)) return;
  const int last = a.starts[b + 1];
  if (a.kept && keeps(a.slots, a.kept, b, last - a.starts[b])) return;
  const chunk_scales by = chunk_rows<N, FORM>(a, key, t0, last, m);
  barrier();
  chunk_export(keys[(i64)c * a.nk + key], m);
  chunk_products(by, m);
  barrier();
  const int h0 = a.tiled ? key : key * group, step = a.tiled ? a.nk : 1;
  chunk_value* to = values + (i64)c * a.nv + h0;
  if (w < 4)
    for (int i = w; i < group; i += 4) chunk_solve<N, FORM>(a, h0 + i * step, t0, last, by, to[i * step], m);
  else
    for (int i = w - 4; i < group; i += 4) chunk_reads<N, FORM>(a, h0 + i * step, t0, last, to[i * step], m);
}

// token_rows are the rows of 32 tokens of a matrix, `pitch` elements apart, at columns of the wave, of which a lane has the elements
// of two accumulators. Only the first `rows` exist.
template <class T> struct token_rows {
  T* p; // the same for all lanes
  int pitch, rows;

  // at returns the element at row r, which is the same for all lanes, from the lane's place.
  DEV_METHOD T& at(int r, int e, u32& lane_bytes) const {
    lane_bytes = lane_apart(lane_bytes);
    return *(T*)((u8*)(p + (i64)r * pitch + own_v(e)) + lane_bytes);
  }
  DEV_METHOD token_rows opaque_pitch() const { return {p, apart(pitch), rows}; } // or products with it are kept for all chunks
  DEV_METHOD void load(Acc (&v)[2]) const {
    const token_rows r = opaque_pitch();
    if (rows >= chunk_tokens) {
      u32 lane_bytes = 4 * (u32)(lane_x() * r.pitch + lane_v());
      UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int e = 0; e < 8; e++) v[i][e] = r.at(16 * i + own_x(e), e, lane_bytes);
      return;
    }
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int e = 0; e < 8; e++) {
        const int row = 16 * i + own_x(e) + lane_x();
        u32 lane_bytes = 4 * (u32)((row < rows ? row : rows - 1) * r.pitch + lane_v());
        v[i][e] = r.at(0, e, lane_bytes);
      }
  }
  DEV_METHOD void store(const Acc (&v)[2]) const {
    const token_rows r = opaque_pitch();
    u32 lane_bytes = 4 * (u32)(lane_x() * r.pitch + lane_v());
    if (rows >= chunk_tokens) {
      UNROLL for (int i = 0; i < 2; i++)
        UNROLL for (int e = 0; e < 8; e++) r.at(16 * i + own_x(e), e, lane_bytes) = v[i][e];
      return;
    }
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int e = 0; e < 8; e++)
        if (16 * i + own_x(e) + lane_x() < rows) r.at(16 * i + own_x(e), e, lane_bytes) = v[i][e];
  }
};

// mma_lower returns the product of a matrix of three tiles of a chunk_value with the wave's.
DEV void mma_lower(Acc (&y)[2], const half (&tiles)[3][pair_halves], const own_pair (&x)[2]) {
  const shared_pair first[2] = {load_pair(tiles[0]), load_pair(tiles[1])}, last[1] = {load_pair(tiles[2])};
  y[0] = 0, y[1] = 0;
  mma_pairs(y, first, x[0]);
  Acc more[1] = {y[1]};
  mma_pairs(more, last, x[1]);
  y[1] = more[0];
}

// chunk_stream brings what is in memory of the chunks of a head to LDS, in groups of 8 KiB: columns 32g to 32g+31 of k and q in
// group g, then the chunk_value, then two or four tiles of rows of k transposed. One group is in use while others are on their
// way: the next but one in registers, or three by copies. A step of all waves is
//
//   const half* p = stream.enter(m, g);   p is where group g is
//   ...
//   stream.leave(m, g);
template <int N> struct chunk_stream {
  enum {
    group_halves = 4096,
    pieces = group_halves / 8 / 128, // of 16 bytes, for a thread
    kq_groups = N / 32,
    back_groups = N > 64 ? N / 64 : 1,
    groups = kq_groups + 1 + back_groups,
    buffers = GPU_COPIES ? 4 : 2,
  };
  struct lds {
    half group[buffers][group_halves];
  };

  const chunk_key<N>*key, *next_key;
  const chunk_value *value, *next_value;
  int slot; // of the group in use
#if !GPU_COPIES
  u32x4 piece[pieces];
#endif

  // ask asks for group g, those of the next chunk following.
  DEV_METHOD void ask(lds& m, int g, int to) {
    const bool next = g >= groups;
    const chunk_key<N>* k = next ? next_key : key;
    const chunk_value* v = next ? next_value : value;
    g = next ? g - groups : g;
    const u8* p = g < kq_groups ? (const u8*)k->kq : g == kq_groups ? (const u8*)v : (const u8*)k->transposed;
    const int first = 2 * group_halves * (g < kq_groups ? g : g == kq_groups ? 0 : g - kq_groups - 1);
    const int size = g == kq_groups ? sizeof(chunk_value) : g < kq_groups || N > 32 ? 2 * group_halves : sizeof(k->transposed);
    const u32 own = lane_apart(16 * (u32)tid());
    UNROLL for (int i = 0; i < pieces; i++) {
      const int end = size / 16 - 128 * i - 1; // the last piece of all threads
      if (end < 0) continue;
      const u32 at = end >= 127 || tid() < end ? own : 16 * (u32)end;
      const u8* from = p + apart(first + 4096 * (i / 2)) + 2048 * (i % 2);
#if GPU_COPIES
      copy16(lds_address(m.group[to] + 8 * (tid() + 128 * i)), from + at);
#else
      piece[i] = *(const u32x4*)(from + at);
#endif
    }
#if GPU_COPIES
    copies_end();
#endif
  }
#if !GPU_COPIES
  DEV_METHOD void put(lds& m, int to) {
    UNROLL for (int i = 0; i < pieces; i++) *(u32x4*)(m.group[to] + 8 * (tid() + 128 * i)) = piece[i];
  }
#endif
  DEV_METHOD void start(lds& m) {
    slot = 0;
    ask(m, 0, 0);
#if GPU_COPIES
    ask(m, 1, 1), ask(m, 2, 2);
    copies_done<2>();
#else
    put(m, 0);
    ask(m, 1, 1);
#endif
    barrier();
  }
  DEV_METHOD const half* enter(lds& m, int g) {
#if GPU_COPIES
    ask(m, g + 3, slot + 3 & 3);
#endif
    return m.group[slot];
  }
  DEV_METHOD void leave(lds& m, int g) {
#if GPU_COPIES
    copies_done<2>();
    slot = slot + 1 & 3;
#else
    slot ^= 1;
    put(m, slot);
    ask(m, g + 2, slot);
#endif
    barrier();
  }
};

// chunk_padding zeroes the block's columns of o in the rows of the padding.
DEV void chunk_padding(const delta& a, int h, int slice) {
  for (int t = a.starts[a.sequences] + wave(); t < a.tokens; t += 4)
    for (int v = 64 * slice + lane(); v < a.dv && v < 64 * slice + 64; v += 32) a.o[((i64)t * a.nv + h) * a.dv + v] = 0;
}

// chunk_scan takes 16 rows of S of a head through the chunks of a sequence. What it holds is S over `step`, a power of two for
// each row, such that products with U are added as they come, and that no element is above `bound`, at most 2^15: halves hold it.
template <int N> DEV void chunk_scan(const delta& a, const chunk_key<N>* keys, const chunk_value* values, typename chunk_stream<N>::lds& m) {
  typedef chunk_stream<N> stream;
  const int slices = (a.dv + 63) / 64, h = block_x() / slices, slice = block_x() % slices, b = block_y();
  if (b == a.sequences) {
    chunk_padding(a, h, slice);
    return;
  }
  const int first = a.starts[b], last = a.starts[b + 1], own = slice * 64 + 16 * uniform(wave()), v0 = own < a.dv ? own : a.dv - 16;
  if (first == last || a.kept && keeps(a.slots, a.kept, b, last - first)) return;
  int c = 0;
  for (int i = 0; i < b; i++) c += chunk_count(a.starts[i + 1] - a.starts[i]);
  stream in;
  in.key = in.next_key = keys + (i64)c * a.nk + delta_key_head(a, h);
  in.value = in.next_value = values + (i64)c * a.nv + h;
  if (first + chunk_tokens < last) in.next_key += a.nk, in.next_value += a.nv;
  in.start(m);
  float* state = a.state + (((i64)a.slots[b * (1 + a.kept)] * a.nv + h) * a.dv + v0) * N + lane_v() * N + lane_x();
  Acc s[N / 16];
  float step[own_vs], bound[own_vs];
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) s[i][e] = state[own_v(e) * N + 16 * i + own_x(e)];
  {
    own_max(s, bound);
    const own_scales of_s(bound, 0x1p-40f);
    const own_factors scale(of_s.scale);
    UNROLL for (int i = 0; i < own_vs; i++) step[i] = of_s.unscale[i], bound[i] = 0x1p15f;
    UNROLL for (int i = 0; i < N / 16; i++)
      UNROLL for (int e = 0; e < 8; e++) s[i][e] *= scale.at(e);
  }
  NO_UNROLL for (int t0 = first; t0 < last; t0 += chunk_tokens) {
    if (t0 > first && (t0 - first) % (8 * chunk_tokens) == 0) own_max(s, bound); // sums of bounds get far from what S is
    Acc v[2];
    token_rows<const float>{a.v + (i64)t0 * a.v_pitch + h * a.dv + v0, a.v_pitch, last - t0}.load(v);
    Acc p[2][2] = {}; // S·k and S·q
    UNROLL for (int g = 0; g < stream::kq_groups; g++) {
      pairs_ahead kq(in.enter(m, g));
      UNROLL for (int k = 0; k < 2; k++) {
        const own_pair x = split(s[2 * g + k]);
        UNROLL for (int i = 0; i < 2; i++) kq.add(p[i], x, 2 * k + i + 1, 2 * k + i < 3);
      }
      in.leave(m, g);
    }
    // What the units of p, and then of U and o, are.
    float p_step[own_vs], u_step[own_vs], o_step[own_vs], growth[own_vs]; // the last one is that of S
    const chunk_value& own_value = *(const chunk_value*)in.enter(m, stream::kq_groups);
    UNROLL for (int i = 0; i < own_vs; i++) p_step[i] = step[i];
    Acc u[2], o[2];
    { // U = T·X
      float unit[own_vs];
      UNROLL for (int i = 0; i < own_vs; i++) unit[i] = -p_step[i] * own_value.k_unscale;
      const own_factors less(unit);
      UNROLL for (int i = 0; i < 2; i++) {
        float decay[8];
        token_values(own_value.decay, i, decay);
        UNROLL for (int e = 0; e < 8; e++) v[i][e] = __builtin_fmaf(less.at(e) * decay[e], p[0][i][e], v[i][e]);
      }
      float most[own_vs];
      own_max(v, most);
      const own_scales of_x(most, 0x1p-40f); // nothing counts as little: products of scales neither overflow nor underflow
      const own_pair x[2] = {split(v[0], of_x), split(v[1], of_x)};
      fixed();
      mma_lower(u, own_value.t, x);
      UNROLL for (int i = 0; i < own_vs; i++) {
        u_step[i] = of_x.unscale[i] * own_value.t_unscale;
        growth[i] = step[i] * (of_x.scale[i] * own_value.t_scale);
      }
    }
    fixed();
    float most[own_vs];
    own_max(u, most);
    { // o
      const own_scales of_u(most, 0x1p-10f);
      const own_pair x[2] = {split(u[0], of_u), split(u[1], of_u)};
      fixed();
      mma_lower(o, own_value.b, x);
      UNROLL for (int i = 0; i < own_vs; i++) {
        o_step[i] = a.scale * own_value.b_unscale * (of_u.unscale[i] * u_step[i]);
        p_step[i] *= a.scale * own_value.q_unscale;
      }
      const own_factors of_o(o_step), of_p(p_step);
      UNROLL for (int i = 0; i < 2; i++) {
        float decay[8];
        token_values(own_value.decay, i, decay);
        UNROLL for (int e = 0; e < 8; e++) o[i][e] = of_o.at(e) * o[i][e] + decay[e] * (of_p.at(e) * p[1][i][e]);
      }
      if (own < a.dv) token_rows<float>{a.o + ((i64)t0 * a.nv + h) * a.dv + v0, a.nv * a.dv, last - t0}.store(o);
    }
    fixed();
    { // S
      // Scaled by of_u, U has elements below 8, so that its products with k add less than 2^14, as much as is left of S.
      float room[own_vs];
      UNROLL for (int i = 0; i < own_vs; i++) {
        growth[i] *= own_value.k_scale * own_value.total;
        room[i] = __builtin_fmaxf(0x1p12f * most[i], 2 * growth[i] * bound[i]);
      }
      const own_scales of_u(room, 4);
      own_pair x[2];
      UNROLL for (int i = 0; i < 2; i++) {
        float tail[8];
        token_values(own_value.tail, i, tail);
        x[i] = split(u[i], of_u, tail);
      }
      float factor[own_vs];
      UNROLL for (int i = 0; i < own_vs; i++) {
        factor[i] = growth[i] * of_u.scale[i];
        step[i] = of_u.unscale[i] * u_step[i] * own_value.k_unscale;
        bound[i] = factor[i] * bound[i] + 0x1p11f * (of_u.scale[i] * most[i]);
      }
      const own_factors keep(factor);
      in.leave(m, stream::kq_groups);
      UNROLL for (int g = 0; g < stream::back_groups; g++) {
        pairs_ahead w(in.enter(m, stream::kq_groups + 1 + g));
        const int from = 4 * g, steps = N / 16 < 4 ? 2 : 4;
        UNROLL for (int k = 0; k < steps; k += 2) {
          Acc d[2] = {s[from + k], s[from + k + 1]};
          UNROLL for (int i = 0; i < 2; i++)
            UNROLL for (int e = 0; e < 8; e++) d[i][e] *= keep.at(e);
          UNROLL for (int i = 0; i < 2; i++) w.add(d, x[i], k + i + 1, k + i + 1 < steps);
          s[from + k] = d[0], s[from + k + 1] = d[1];
        }
        if (g == stream::back_groups - 1) {
          in.leave(m, stream::groups - 1);
          in.key = in.next_key, in.value = in.next_value;
          if (t0 + 2 * chunk_tokens < last) in.next_key += a.nk, in.next_value += a.nv;
        } else {
          in.leave(m, stream::kq_groups + 1 + g);
        }
      }
    }
  }
#if GPU_COPIES
  copies_done<0>();
#endif
  if (own >= a.dv) return;
  const own_factors of_s(step);
  UNROLL for (int i = 0; i < N / 16; i++)
    UNROLL for (int e = 0; e < 8; e++) state[own_v(e) * N + 16 * i + own_x(e)] = of_s.at(e) * s[i][e];
}

#define KEYS(name, n, form)                                                                                                      \
  KERNEL(256) name##_f32_chunk_keys##n(                                                                                          \
      const float* RESTRICT q, const float* RESTRICT k, const float* RESTRICT g, const float* RESTRICT beta,                     \
      const float* RESTRICT bias, const float* RESTRICT decay, const int* RESTRICT starts, const int* RESTRICT slots,            \
      chunk_key<n>* RESTRICT keys, chunk_value* RESTRICT values, int pitch, int sequences, int nk, int nv, int tiled,            \
      float q_eps, float k_eps, int kept) {                                                                                      \
    LDS chunk_lds<n> m;                                                                                                          \
    chunk_keys<n, form>(delta{q, k, 0, pitch, 0, g, beta, bias, decay, q_eps, k_eps, 0, 0, starts, slots, sequences, 0, nk, nv,  \
                              n, 0, tiled, 0, kept},                                                                             \
                        keys, values, m);                                                                                        \
  }
#define KERNELS(n)                                                                                                               \
  KEYS(gated_delta_net, n, DELTA_PLAIN)                                                                                          \
  KEYS(delta_net_core, n, DELTA_CORE)                                                                                            \
  KERNEL(128) delta_net_f32_chunk##n(                                                                                            \
      const float* RESTRICT v, const chunk_key<n>* RESTRICT keys, const chunk_value* RESTRICT values, float* RESTRICT state,     \
      float* RESTRICT o, const int* RESTRICT starts, const int* RESTRICT slots, int pitch, int sequences, int tokens, int nk,    \
      int nv, int dv, int tiled, float scale, int kept) {                                                                        \
    LDS chunk_stream<n>::lds m;                                                                                                  \
    chunk_scan<n>(delta{0, 0, v, 0, pitch, 0, 0, 0, 0, 0, 0, state, o, starts, slots, sequences, tokens, nk, nv, n, dv, tiled,   \
                        scale, kept},                                                                                            \
                  keys, values, m);                                                                                              \
  }
KERNELS(32)
KERNELS(64)
KERNELS(128)

KERNEL(128) delta_net_core_f32_chunk_end(const float* RESTRICT o, const float* RESTRICT w, const float* RESTRICT z, float* RESTRICT y,
                                         i8* RESTRICT codes, float* RESTRICT ds, const int* RESTRICT starts,
                                         const int* RESTRICT slots, int sequences, int tokens, int nv, int dv, float eps, float share,
                                         int kept) {
  const int t = block_x(), h0 = 16 * block_y() + 4 * uniform(wave()), half_lane = lane() & 15, vectors = dv / 4;
  if (h0 >= nv) return;
  const bool padding = t >= starts[sequences];
  if (kept && !padding) {
    int b = 0;
    while (t >= starts[b + 1]) b++;
    if (keeps(slots, kept, b, starts[b + 1] - starts[b])) return;
  }
  const i64 first = ((i64)t * nv + h0) * vectors;
  f32x4 weight[2];
  UNROLL for (int j = 0; j < 2; j++) {
    const int l = half_lane + 16 * j;
    weight[j] = *(const f32x4*)((const u8*)w + lane_apart(16 * (u32)(l < vectors ? l : vectors - 1)));
  }
  UNROLL for (int i = 0; i < 4; i += 2) {
    const int h = i + (lane() >> 4), row = h0 + h < nv ? h : nv - 1 - h0;
    f32x4 v[2], gate[2];
    UNROLL for (int j = 0; j < 2; j++) {
      const int l = half_lane + 16 * j;
      const u32 at = lane_apart(16 * (u32)(row * vectors + (l < vectors ? l : vectors - 1)));
      v[j] = 0;
      if (!padding) v[j] = *(const f32x4*)((const u8*)(o + 4 * first) + at);
      gate[j] = *(const f32x4*)((const u8*)(z + 4 * first) + at);
    }
    float sum = 0;
    UNROLL for (int j = 0; j < 2; j++) sum = half_lane + 16 * j < vectors ? sum_squares(v[j], sum) : sum;
    const float factor = rsqrt(__builtin_fmaf(lanes_sum<16>(sum), share, eps));
    UNROLL for (int j = 0; j < 2; j++) {
      const int l = half_lane + 16 * j;
      UNROLL for (int e = 0; e < 4; e++) v[j][e] = rms_scale(v[j][e], weight[j][e], factor) * silu_ranged(gate[j][e]);
      const bool live = l < vectors && h0 + h < nv;
      if (y && live) *(f32x4*)((u8*)(y + 4 * first) + 16 * (u32)(row * vectors + l)) = v[j];
      if (codes) q24_vectors(v[j], (u32)first + row * vectors + l, q24_out{codes, ds, (u32)(tokens * nv * dv)}, live);
    }
  }
}
