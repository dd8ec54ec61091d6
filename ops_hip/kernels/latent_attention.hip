// Latent attention with matrix instructions: o[t][h] = Σ_j p_j·c_j[:512] over the rows c_j of the cache that token t
// sees, positions 0 to pos[t] of sequence seq[t]; p = softmax of the scores scale·q[t][h]·c. q [tokens, heads, 576];
// cache [pages·page, 576] of F16 or Q8_0; o [tokens, heads, 512]; pages [sequences, per_seq]. Rows of tokens with
// seq < 0 are zero. Reference: ops_ref/latent_attention.go. Launched by latent_attention.go.
//
//   latent_attention_<type>   Grid (tokens·⌈heads/16⌉, splits), blocks of 256. A block has 16 heads of a token, which
//                             share what it reads: the cache in runs of 16 rows, of its split's share. The scores of a
//                             run are sums over eight waves, of which each multiplies every eighth part of 16 dims;
//                             each wave then sums 64 values. LDS 44,672 bytes. On NVIDIA blocks have 512 threads and runs
//                             32 rows, each wave multiplies a quarter of the dims with 8 of them, and values are
//                             transposed on their way from LDS: 47,232 bytes.
//   latent_combine            Grid (tokens·heads, 4), blocks of 256: merges the splits, of which there are up to 160. Waves
//                             sum every eighth, and their sums are added. LDS 4,740 bytes.
//
// With one split the result is final. With more, a split leaves its largest score and its sum of weights in stats
// [tokens·heads, splits][2] and its weighted sum in sums [tokens·heads, splits, 512], for latent_combine.
//
// Queries, rows of the cache and the weights p are rounded to half, products accumulate in float. What the cache holds
// must be within ±65504. Softmax is computed online (Milakov and Gimelshein 2018, arXiv 1805.02867).
#include "cached_rows.h"
#include "math.h"
#include "mma.h"

enum { DIM = 576, VALUES = 512, STEPS = DIM / 16 };
// RUN rows of the cache are in LDS at a time, one for each thread of a head. SHARES waves have the dims of a score between them. NEXT
// elements of an Acc lie next to each other.
#if GPU_NVIDIA
enum { WAVES = 16, RUN = 32, SHARES = 4, NEXT = 2 };
// prefetch brings the line at p to the cache that all blocks share.
DEV void prefetch(const u8* p) { __asm__ volatile("prefetch.global.L2 [%0];" ::"l"(p)); }
#else
enum { WAVES = 8, RUN = 16, SHARES = WAVES, NEXT = 1 };
DEV void prefetch(const u8*) {}
#endif
enum { AHEAD = 4 }; // runs that are asked for before they are read
enum { PARTS = DIM / 8, STRIDE = 32 * WAVES / RUN, LOADS = (PARTS + STRIDE - 1) / STRIDE }; // of eight elements, of a row
enum { OWN = VALUES / 16 / WAVES, OWN_STEPS = (STEPS + SHARES - 1) / SHARES };
static_assert(16 * RUN == 32 * WAVES, "a thread for each score of a run");

struct latent_lds {
  half rows[RUN][DIM + 8]; // of the cache; queries before them
#if !GPU_NVIDIA
  half values[VALUES][RUN]; // transposed: a fragment's K is the rows
#endif
  float part[SHARES][16][RUN + 1]; // of scores
  half p[16][RUN + 8];             // weights
  float old[16];                   // what a head's sums become by
  float sum[16];                   // of its weights
};

// latent_run is what a thread has on the way of the next run: every STRIDE-th part of a row. Neighbouring threads read neighbouring
// parts on NVIDIA; elsewhere they have neighbouring rows, since they write halves next to each other in latent_lds::values.
template <class T> struct latent_run {
  cached<T, 8> part[LOADS];

#if GPU_NVIDIA
  DEV int row() { return tid() / STRIDE; }
  DEV int place(int i) { return tid() % STRIDE + STRIDE * i; }
#else
  DEV int row() { return tid() % RUN; }
  DEV int place(int i) { return tid() / RUN + STRIDE * i; }
#endif
  DEV_METHOD void load(const u8* row) {
    UNROLL for (int i = 0; i < LOADS; i++)
      if (place(i) < PARTS) part[i].load(row, 0, 8 * place(i));
  }
  // store writes it to LDS.
  DEV_METHOD void store(latent_lds& m) {
    const int key = row();
    UNROLL for (int i = 0; i < LOADS; i++) {
      const int c = place(i);
      if (c >= PARTS) continue;
      float y[8];
      part[i].get(0, y), part[i].get(1, y + 4);
      put8(&m.rows[key][8 * c], y);
#if !GPU_NVIDIA
      if (c < VALUES / 8)
        UNROLL for (int j = 0; j < 8; j++) m.values[8 * c + j][key] = (half)y[j];
#endif
    }
  }
};

// latent_queries are a wave's, of its share of the dims: every SHARES-th 16 of them, on NVIDIA those next to each other.
struct latent_queries {
  FragA of[OWN_STEPS];
#if GPU_NVIDIA
  DEV int share() { return uniform(wave()) / 4; }
  DEV int rows() { return 8 * (uniform(wave()) % 4); } // of a run, from which on the wave has eight
  DEV_METHOD void load(const latent_lds& m) {
    UNROLL for (int i = 0; i < OWN_STEPS; i++) of[i] = load_a(&m.rows[0][16 * (OWN_STEPS * share() + i)], DIM + 8);
  }
  // score writes the share's part of the scores of a run.
  DEV_METHOD void score(latent_lds& m) const {
    AccHalf s[2] = {};
    const u32 at = lds_address(&m.rows[rows() + lane() % 8][16 * OWN_STEPS * share() + 8 * (lane() / 8)]);
    UNROLL for (int i = 0; i + 1 < OWN_STEPS; i += 2) {
      const u32x4 b = ldmatrix(at, 32 * i);
      s[0] = mma(s[0], of[i], b.xy), s[1] = mma(s[1], of[i + 1], b.zw);
    }
    static_assert(OWN_STEPS % 2 == 1, "one is left");
    const half* last = &m.rows[rows() + lane() / 4][16 * (OWN_STEPS * share() + OWN_STEPS - 1) + 2 * (lane() % 4)];
    s[0] = mma(s[0], of[OWN_STEPS - 1], (u32x2){*(const u32*)last, *(const u32*)(last + 8)});
    UNROLL for (int e = 0; e < 4; e++) m.part[share()][acc_row(e)][rows() + acc_col(e)] = s[0][e] + s[1][e];
  }
#else
  DEV_METHOD void load(const latent_lds& m) {
    const int w = uniform(wave());
    UNROLL for (int i = 0; i < OWN_STEPS; i++)
      if (w + WAVES * i < STEPS) of[i] = load_a(&m.rows[0][16 * (w + WAVES * i)], DIM + 8);
  }
  DEV_METHOD void score(latent_lds& m) const {
    const int w = uniform(wave());
    Acc s = {};
    UNROLL for (int i = 0; i < OWN_STEPS; i++)
      if (w + WAVES * i < STEPS) s = mma(s, of[i], load_b(&m.rows[0][16 * (w + WAVES * i)], DIM + 8));
    UNROLL for (int e = 0; e < 8; e++) m.part[w][acc_row(e)][acc_col(e)] = s[e];
  }
#endif
};

// load_values returns what the wave multiplies with weights of 16 rows of the run from `row` on: its d-th 16 values.
DEV FragB load_values(const latent_lds& m, int row, int d) {
  const int from = 16 * OWN * uniform(wave());
#if GPU_NVIDIA
  const int i = lane() / 8;
  return {ldmatrix_transposed(lds_address(&m.rows[lane() % 8 + i % 2 * 8][from + 8 * (i / 2)]), 2 * (row * (DIM + 8) + 16 * d))};
#else
  return load_b(&m.values[from + 16 * d][row], RUN);
#endif
}

template <class T>
DEV void latent_attention(latent_lds& m, const float* RESTRICT q, const u8* RESTRICT cache, const int* RESTRICT pos, const int* RESTRICT seq,
                          const int* RESTRICT pages, float* RESTRICT o, int heads, int page, int per_seq, float scale, float* RESTRICT stats,
                          float* RESTRICT sums, int splits) {
  const int tiles = (heads + 15) / 16, t = block_x() / tiles, h0 = block_x() % tiles * 16, w = uniform(wave());
  const int s = uniform(seq[t]), n = uniform(pos[t]) + 1;
  const i64 first = (i64)t * heads + h0, bytes = row_bytes<T>(DIM);
  if (s < 0) {
    NO_UNROLL for (int i = tid(); i < 16 * VALUES && splits == 1; i += 32 * WAVES)
      if (h0 + i / VALUES < heads) o[first * VALUES + i] = 0;
    return; // attention_combine does it otherwise
  }
  const int share = ((n + splits - 1) / splits + RUN - 1) / RUN * RUN, lo = share * block_y(), hi = lo + share < n ? lo + share : n;
  latent_run<T> next;
  const int key = next.row();
  // Rows past the last are the last, with weights of 0.
  auto fetch = [&](int j0) __attribute__((device, always_inline)) {
    u32 at = j0 + key < hi ? j0 + key : hi - 1;
    next.load(cache + ((i64)pages[(i64)s * per_seq + at / page] * page + at % page) * bytes);
  };
  // ask has the run from j0 on brought to the device's cache.
  auto ask = [&](int j0) __attribute__((device, always_inline)) {
    u32 at = j0 + key < hi ? j0 + key : hi - 1;
    const u8* row = cache + ((i64)pages[(i64)s * per_seq + at / page] * page + at % page) * bytes;
    prefetch(row + (u32)bytes * (tid() % STRIDE) / STRIDE);
    if (tid() % STRIDE == 0) prefetch(row + bytes - 1);
  };
  const bool alone = splits > 1; // with several tokens, others have read it
  for (int j0 = lo; alone && j0 < hi && j0 < lo + AHEAD * RUN; j0 += RUN) ask(j0);
  if (lo < hi) fetch(lo);
  NO_UNROLL for (int i = tid(); i < 16 * DIM / 8; i += 32 * WAVES) {
    int r = i / (DIM / 8), c = i % (DIM / 8);
    group y = {};
    if (h0 + r < heads) get_floats<false>(q + (first + r) * DIM, c, DIM, y);
    put8(&m.rows[r][8 * c], y);
  }
  barrier();
  latent_queries own;
  own.load(m);
  Acc acc[OWN] = {};
  float top = -1e30f, sum = 0; // of head tid() / RUN; finite, so that e^(top-top) is 1 before the first row
  for (int j0 = lo; j0 < hi; j0 += RUN) {
    barrier(); // the last run's rows are read
    next.store(m);
    if (j0 + RUN < hi) fetch(j0 + RUN);
    if (alone && j0 + AHEAD * RUN < hi) ask(j0 + AHEAD * RUN);
    barrier();
    own.score(m);
    barrier();
    { // the score of head tid() / RUN and a row
      const int r = tid() / RUN, c = tid() % RUN;
      float x = 0;
      UNROLL for (int i = 0; i < SHARES; i++) x += m.part[i][r][c];
      x = j0 + c < hi ? scale * LOG2E * x : -__builtin_inff();
      const float to = __builtin_fmaxf(top, lanes_max<RUN>(x)), by = exp2_approx(top - to);
      const half p = (half)exp2_approx(x - to);
      m.p[r][c] = p;
      sum = sum * by + lanes_sum<RUN>((float)p);
      top = to;
      if (c == 0) m.old[r] = by;
    }
    barrier();
    float by[8];
    UNROLL for (int e = 0; e < 8; e++) by[e] = m.old[acc_row(e)];
    UNROLL for (int d = 0; d < OWN; d++)
      UNROLL for (int e = 0; e < 8; e++) acc[d][e] *= by[e];
    UNROLL for (int k = 0; k < RUN / 16; k++) {
      const FragA p = load_a(&m.p[0][16 * k], RUN + 8);
      UNROLL for (int d = 0; d < OWN; d++) acc[d] = mma(acc[d], p, load_values(m, 16 * k, d));
    }
  }
  if (tid() % RUN == 0) {
    const int r = tid() / RUN;
    m.sum[r] = sum;
    if (splits > 1 && h0 + r < heads) {
      float* at = stats + 2 * ((first + r) * splits + block_y());
      at[0] = sum > 0 ? top / LOG2E : -__builtin_inff();
      at[1] = sum;
    }
  }
  barrier();
  UNROLL for (int e = 0; e < 8; e += NEXT) {
    const int r = acc_row(e);
    if (h0 + r >= heads) continue;
    float* out = splits > 1 ? sums + ((first + r) * splits + block_y()) * VALUES : o + (first + r) * VALUES;
    const float by = splits > 1 ? 1 : 1 / m.sum[r];
    UNROLL for (int d = 0; d < OWN; d++) {
      float* y = out + 16 * (OWN * w + d) + acc_col(e);
      if constexpr (NEXT == 2)
        *(f32x2*)y = (f32x2){acc[d][e] * by, acc[d][e + 1] * by};
      else
        *y = acc[d][e] * by;
    }
  }
}

#define LATENT(type)                                                                                                          \
  KERNEL(32 * WAVES) latent_attention_##type(const float* RESTRICT q, const u8* RESTRICT cache, const int* RESTRICT pos,     \
                                      const int* RESTRICT seq, const int* RESTRICT pages, float* RESTRICT o, int heads,      \
                                      int page, int per_seq, float scale, float* RESTRICT stats, float* RESTRICT sums,       \
                                      int splits) {                                                                          \
    LDS latent_lds m;                                                                                                        \
    latent_attention<type>(m, q, cache, pos, seq, pages, o, heads, page, per_seq, scale, stats, sums, splits);               \
  }
LATENT(f16)
LATENT(q8_0)

KERNEL(256) latent_combine(const float* RESTRICT stats, const float* RESTRICT sums, const int* RESTRICT seq, float* RESTRICT o, int heads,
                           int splits) {
  enum { SPLITS = 160, ALL = 8, MINE = SPLITS / ALL };
  LDS float weights[SPLITS];
  LDS f32x4 part[ALL][32];
  LDS float total;
  const int x = block_x(), w = uniform(wave());
  f32x4* to = (f32x4*)(o + (i64)x * VALUES) + 32 * block_y() + lane();
  if (seq[x / heads] < 0) {
    if (w == 0) *to = 0;
    return;
  }
  const f32x4* from = (const f32x4*)(sums + (i64)x * splits * VALUES) + 32 * block_y() + lane();
  f32x4 v[MINE];
  UNROLL for (int i = 0; i < MINE; i++) {
    v[i] = 0;
    if (w + ALL * i < splits) v[i] = from[(w + ALL * i) * (VALUES / 4)];
  }
  if (w == 0) { // five splits a lane
    float top[SPLITS / 32], m = -1e30f, sum = 0;
    UNROLL for (int i = 0; i < SPLITS / 32; i++) {
      const int at = lane() + 32 * i;
      top[i] = at < splits ? stats[2 * ((i64)x * splits + at)] : -__builtin_inff();
      m = __builtin_fmaxf(m, top[i]);
    }
    m = wave_max(m);
    UNROLL for (int i = 0; i < SPLITS / 32; i++) {
      const int at = lane() + 32 * i;
      const float by = exp2_approx((top[i] - m) * LOG2E);
      weights[at] = by;
      if (at < splits) sum += by * stats[2 * ((i64)x * splits + at) + 1];
    }
    sum = wave_sum(sum);
    if (lane() == 0) total = sum;
  }
  barrier();
  f32x4 y = 0;
  UNROLL for (int i = 0; i < MINE; i++) y += v[i] * weights[w + ALL * i];
  part[w][lane()] = y;
  barrier();
  if (w) return;
  y = part[0][lane()];
  UNROLL for (int i = 1; i < ALL; i++) y += part[i][lane()];
  *to = y * (1 / total);
}
