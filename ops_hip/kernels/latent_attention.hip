// Latent attention with matrix instructions: o[t][h] = Σ_j p_j·c_j[:512] over the rows c_j of the cache that token t
// sees, positions 0 to pos[t] of sequence seq[t]; p = softmax of the scores scale·q[t][h]·c. q [tokens, heads, 576];
// cache [pages·page, 576] of F16 or Q8_0; o [tokens, heads, 512]; pages [sequences, per_seq]. Rows of tokens with
// seq < 0 are zero. Reference: ops_ref/latent_attention.go. Launched by latent_attention.go.
//
//   latent_attention_<type>   Grid (tokens·⌈heads/16⌉, splits), blocks of 256. A block has 16 heads of a token, which
//                             share what it reads: the cache in runs of 16 rows, of its split's share. The scores of a
//                             run are sums over eight waves, of which each multiplies every eighth part of 16 dims;
//                             each wave then sums 64 values. LDS 44,672 bytes.
//
// With one split the result is final. With more, a split leaves its largest score and its sum of weights in stats
// [tokens·heads, splits][2] and its weighted sum in sums [tokens·heads, splits, 512], for attention_combine.
//
// Queries, rows of the cache and the weights p are rounded to half, products accumulate in float. What the cache holds
// must be within ±65504. Softmax is computed online (Milakov and Gimelshein 2018, arXiv 1805.02867).
#include "math.h"
#include "mma.h"
#include "quant_f16.h"
#include "quant_q8_0.h"

enum { DIM = 576, VALUES = 512, WAVES = 8, RUN = 16, STEPS = DIM / 16, OWN = VALUES / 16 / WAVES };

struct latent_lds {
  half rows[RUN][DIM + 8];        // of the cache; queries before them
  half values[VALUES][RUN];       // transposed: a fragment's K is the rows
  float part[WAVES][16][RUN + 1]; // of scores
  half p[16][RUN + 8];            // weights
  float old[16];                  // what a head's sums become by
  float sum[16];                  // of its weights
};

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
  NO_UNROLL for (int i = tid(); i < 16 * DIM / 8; i += 32 * WAVES) {
    int r = i / (DIM / 8), c = i % (DIM / 8);
    group y = {};
    if (h0 + r < heads) get_floats<false>(q + (first + r) * DIM, c, DIM, y);
    put8(&m.rows[r][8 * c], y);
  }
  barrier();
  FragA own[(STEPS + WAVES - 1) / WAVES];
  UNROLL for (int i = 0; i < (STEPS + WAVES - 1) / WAVES; i++)
    if (w + WAVES * i < STEPS) own[i] = load_a(&m.rows[0][16 * (w + WAVES * i)], DIM + 8);
  const int share = ((n + splits - 1) / splits + RUN - 1) / RUN * RUN, lo = share * block_y(), hi = lo + share < n ? lo + share : n;
  Acc acc[OWN] = {};
  float top = -1e30f, sum = 0; // of head tid() / 16; finite, so that e^(top-top) is 1 before the first row
  for (int j0 = lo; j0 < hi; j0 += RUN) {
    barrier(); // the last run's rows are read
    for (int i = tid(); i < RUN * DIM / 8; i += 32 * WAVES) {
      int key = i % RUN, c = i / RUN; // neighbouring threads write neighbouring halves of m.values
      group y = {};
      if (j0 + key < hi) {
        u32 at = j0 + key;
        get_group<T>(cache + ((i64)pages[(i64)s * per_seq + at / page] * page + at % page) * bytes, c, DIM, y);
      }
      put8(&m.rows[key][8 * c], y);
      if (c < VALUES / 8)
        UNROLL for (int j = 0; j < 8; j++) m.values[8 * c + j][key] = (half)y[j];
    }
    barrier();
    Acc score = {};
    UNROLL for (int i = 0; i < (STEPS + WAVES - 1) / WAVES; i++)
      if (w + WAVES * i < STEPS) score = mma(score, own[i], load_b(&m.rows[0][16 * (w + WAVES * i)], DIM + 8));
    UNROLL for (int e = 0; e < 8; e++) m.part[w][acc_row(e)][acc_col(e)] = score[e];
    barrier();
    { // one score a thread: of head tid() / 16 and row tid() % 16
      const int r = tid() / 16, key = tid() % 16;
      float x = 0;
      UNROLL for (int i = 0; i < WAVES; i++) x += m.part[i][r][key];
      x = j0 + key < hi ? scale * LOG2E * x : -__builtin_inff();
      const float to = __builtin_fmaxf(top, lanes_max<16>(x)), by = exp2_approx(top - to);
      const half p = (half)exp2_approx(x - to);
      m.p[r][key] = p;
      sum = sum * by + lanes_sum<16>((float)p);
      top = to;
      if (key == 0) m.old[r] = by;
    }
    barrier();
    const FragA p = load_a(&m.p[0][0], RUN + 8);
    float by[8];
    UNROLL for (int e = 0; e < 8; e++) by[e] = m.old[acc_row(e)];
    UNROLL for (int d = 0; d < OWN; d++) {
      UNROLL for (int e = 0; e < 8; e++) acc[d][e] *= by[e];
      acc[d] = mma(acc[d], p, load_b(&m.values[16 * (OWN * w + d)][0], RUN));
    }
  }
  if (tid() % 16 == 0) {
    const int r = tid() / 16;
    m.sum[r] = sum;
    if (splits > 1 && h0 + r < heads) {
      float* at = stats + 2 * ((first + r) * splits + block_y());
      at[0] = sum > 0 ? top / LOG2E : -__builtin_inff();
      at[1] = sum;
    }
  }
  barrier();
  UNROLL for (int e = 0; e < 8; e++) {
    const int r = acc_row(e);
    if (h0 + r >= heads) continue;
    float* out = splits > 1 ? sums + ((first + r) * splits + block_y()) * VALUES : o + (first + r) * VALUES;
    const float by = splits > 1 ? 1 : 1 / m.sum[r];
    UNROLL for (int d = 0; d < OWN; d++) out[16 * (OWN * w + d) + acc_col(e)] = acc[d][e] * by;
  }
}

#define LATENT(type)                                                                                                          \
  KERNEL(256) latent_attention_##type(const float* RESTRICT q, const u8* RESTRICT cache, const int* RESTRICT pos,            \
                                      const int* RESTRICT seq, const int* RESTRICT pages, float* RESTRICT o, int heads,      \
                                      int page, int per_seq, float scale, float* RESTRICT stats, float* RESTRICT sums,       \
                                      int splits) {                                                                          \
    LDS latent_lds m;                                                                                                        \
    latent_attention<type>(m, q, cache, pos, seq, pages, o, heads, page, per_seq, scale, stats, sums, splits);               \
  }
LATENT(f16)
LATENT(q8_0)
