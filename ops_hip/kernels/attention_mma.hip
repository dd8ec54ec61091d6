// Attention with matrix instructions, for many tokens: see attention.h for what it computes. Head dims of 64, 80, 96, 128,
// 256 or 512 for keys and values alike; caches of F16, BF16 and Q8_0, with pages of 8 tokens or more, a power of two. Reference:
// ops_ref/attention.go. Launched by attention.go.
//
//   attention_<type>_mma<D>   Grid (KV heads · ⌈⌈tokens/16⌉·group/units⌉), where `group` query heads share a KV head; blocks of
//                             8 waves, 4 on NVIDIA. A wave is a unit: it has 16 tokens of one query head. For D = 512 two waves
//                             are, on gfx11 and NVIDIA four, of which each has a part of the dims: they add up their scores. The
//                             units of a block have the heads of one KV head, token after token, and go through the keys that
//                             one of them sees together, in runs of 64 (32 or 16 for D = 256, 16 for D = 512), once for each
//                             sequence among their tokens, in order of sequence. Blocks with the last tokens, which see most,
//                             come first. LDS 18,784 (D = 64), 23,168, 27,552, 36,320, up to 38,112 and 42,464 bytes; for
//                             D = 256 on NVIDIA 46,192.
//
// Queries, keys, values and the weights p are rounded to half; products accumulate in float, and so do m and l. Keys
// and values must be within ±65504. m follows the largest score only when that is far above it, so that weights are up to
// 2^SLACK.
#include "attention_keys.h"

#define SLACK 8.0f
#define UNSEEN -1e30f // a score below all others, finite so that e^(UNSEEN-UNSEEN) is 1 before the first key

template <int D, int WAVES, int RUN, int PARTS> struct attention_lds {
  typedef query_tile<D / PARTS> queries;
  key_lds<D, WAVES, RUN> keys;
  half q[WAVES][queries::room]; // of queries that find no room in registers
  u32 next[WAVES], lo[WAVES], hi[WAVES]; // what waves want
  f32x8 scores[PARTS > 1 ? WAVES : 0][RUN / 16][32]; // of parts of dims
};

DEV u32 least_of(u32 a, u32 b) { return a < b ? a : b; }
DEV u32 most_of(u32 a, u32 b) { return a > b ? a : b; }

// next_sequence returns the least sequence after cur among the tokens of the block.
#define NO_SEQUENCE 0x7fffffff
template <int WAVES> DEV int next_sequence(u32* of_waves, const int (&seq)[lane_queries], int cur) {
  u32 next = NO_SEQUENCE;
  UNROLL for (int i = 0; i < lane_queries; i++)
    if (seq[i] > cur) next = least_of(next, seq[i]);
  next = wave_min(next);
  if (lane() == 0) of_waves[wave()] = next;
  barrier();
  UNROLL for (int i = 0; i < WAVES; i++) next = least_of(next, of_waves[i]);
  return uniform((int)next);
}

// wave_view is what the tokens of a wave see of a sequence: the lane's i-th the `window` keys up to last[i], which is -1 for none. All
// that see any see the keys all_from to all_to-1, none sees others than from to to-1.
struct wave_view {
  int last[lane_queries];
  u32 window; // large for all
  int from, to, all_from, all_to;

  DEV_METHOD bool all(int j0, int run) const { return j0 >= all_from && j0 + run <= all_to; }
  DEV_METHOD bool sees(int i, int key) const { return (u32)(last[i] - key) < window; }
  DEV_METHOD void look(const int (&seq)[lane_queries], const int (&pos)[lane_queries], int cur) {
    const u32 none = 0x7fffffff;
    u32 f = none, t = 0, af = 0, at = none;
    UNROLL for (int i = 0; i < lane_queries; i++) {
      const bool in = seq[i] == cur;
      const u32 first = (u32)pos[i] >= window ? pos[i] - window + 1 : 0;
      last[i] = in ? pos[i] : -1;
      f = least_of(f, in ? first : none), t = most_of(t, last[i] + 1);
      af = most_of(af, in ? first : 0);
      at = least_of(at, seq[i] < 0 ? none : last[i] + 1); // results of padding do not matter
    }
    from = uniform((int)wave_min(f)), to = uniform((int)wave_max(t));
    all_from = uniform((int)wave_max(af)), all_to = uniform((int)wave_min(at));
  }
};

// block_range writes what all waves of the block see together.
template <int WAVES> DEV void block_range(u32* los, u32* his, const wave_view& v, int& lo, int& hi) {
  if (lane() == 0) los[wave()] = v.from, his[wave()] = v.to;
  barrier();
  u32 l = v.from, h = v.to;
  UNROLL for (int i = 0; i < WAVES; i++) l = least_of(l, los[i]), h = most_of(h, his[i]);
  lo = uniform((int)l), hi = uniform((int)h);
}

// capped returns softcap·tanh(x·cap/(2·LOG2E)); low is -2·softcap. What cancels near 0 is little in a score.
DEV float capped(float x, float cap, float low, float softcap) { return __builtin_fmaf(low, rcp(1 + exp2_approx(x * cap)), softcap); }

// score_max returns the largest score of query i, of the lane's.
template <int N> DEV float score_max(const Acc (&s)[N], int i) {
  float m = UNSEEN;
  UNROLL for (int n = 0; n < N; n++)
    UNROLL for (int e = 0; e < 8; e++)
      if (query_index(e) == i) m = __builtin_fmaxf(m, s[n][e]);
  return m;
}

// in_order uses fragments 0 to COUNT-1, of which AHEAD, one or two, are on the way: more would not find room in registers.
template <int COUNT, int AHEAD, class Load, class Use> DEV void in_order(Load load, Use use) {
  auto now = load(0), next = now;
  if (AHEAD == 2) next = load(1);
  UNROLL for (int i = 0; i < COUNT; i++) {
    auto after = next;
    if (i + AHEAD < COUNT) (AHEAD == 1 ? next : after) = load(i + AHEAD);
    use(i, now);
    fixed();
    now = next, next = after;
  }
}

// add_parts makes scores of those of parts of dims, which the waves that share queries have. All threads of the block call it: it
// has a barrier.
template <int PARTS, int N> DEV void add_parts(f32x8 (*of_waves)[N][32], int w, Acc (&s)[N]) {
  UNROLL for (int n = 0; n < N; n++) of_waves[w][n][lane()] = s[n];
  barrier();
  UNROLL for (int n = 0; n < N; n++) {
    s[n] = of_waves[w / PARTS * PARTS][n][lane()];
    UNROLL for (int p = 1; p < PARTS; p++) s[n] += of_waves[w / PARTS * PARTS + p][n][lane()];
  }
}

template <class T, int D, int WAVES, int RUN, int PARTS>
DEV void attention_mma(const attention_args& a, attention_lds<D, WAVES, RUN, PARTS>& m) {
  constexpr int N = RUN / 16, Q = lane_queries, OWN = D / PARTS; // dims of a wave
  typedef key_sizes<D, WAVES, RUN> S;
  const int group = a.heads / a.kv_heads, kv = block_x() % a.kv_heads, w = uniform(wave());
  const int units = (a.tokens + 15) / 16 * group; // of 16 tokens and a head
  constexpr int UNITS = WAVES / PARTS;
  const int unit = ((units + UNITS - 1) / UNITS - 1 - block_x() / a.kv_heads) * UNITS + (PARTS > 1 ? w / PARTS : w);
  const int dim0 = PARTS > 1 ? w % PARTS * OWN : 0;
  const int t0 = unit / group * 16, h = kv * group + unit % group;
  const u32 row = row_bytes<T>(D);
  const u8 *k = a.k + kv * row, *v = a.v + kv * row;
  const float* rows[Q];
  UNROLL for (int i = 0; i < Q; i++) {
    const int t = t0 + query_of(i);
    rows[i] = a.q + ((i64)(t < a.tokens ? t : a.tokens - 1) * a.heads + h) * D + dim0;
  }
  typename attention_lds<D, WAVES, RUN, PARTS>::queries q;
  q.load(rows, m.q[w]);
  // Scores times by are powers of two. Masked ones stay infinite if the scale is 0.
  const float by = uniform(a.softcap > 0 ? LOG2E : __builtin_fmaxf(__builtin_fabsf(a.scale) * LOG2E, 1e-20f));
  const float slack = uniform(SLACK / by), cap = uniform(2 * LOG2E * a.scale / a.softcap), low = uniform(-2 * a.softcap);
  Acc o[OWN / 16] = {};
  weight_sums sums = {};
  float top[Q];
  UNROLL for (int i = 0; i < Q; i++) top[i] = UNSEEN;
  wave_view see;
  see.window = a.window > 0 ? a.window : 0x7fffffff;
  key_runs<T, D, WAVES, RUN> runs;
  runs.shift = __builtin_ctz(a.page), runs.stride = row * a.kv_heads, runs.hi = 0;
  int cur = -1, j0 = 0;
  auto start = [&] __attribute__((device, always_inline))() { // with the next sequence
    int seq[Q], pos[Q]; // loaded anew, lest they take registers
    UNROLL for (int i = 0; i < Q; i++) {
      const int t = opaque(t0) + query_of(i);
      seq[i] = t < a.tokens ? a.seq[t] : -1, pos[i] = t < a.tokens ? a.pos[t] : 0;
    }
    cur = next_sequence<WAVES>(m.next, seq, cur);
    if (cur == NO_SEQUENCE) return false;
    see.look(seq, pos, cur);
    runs.pages = a.pages + (i64)cur * a.per_seq;
    block_range<WAVES>(m.lo, m.hi, see, runs.lo, runs.hi);
    j0 = runs.lo & -RUN;
    runs.begin(m.keys, k, v, j0);
    return true;
  };
  bool more = start();
  while (more) {
    runs.keys_ready(m.keys, k, v, j0);
    weight_frag p[N];
    { // of scores s
      Acc s[N] = {};
      query_frag x;
      in_order<OWN / 16 * N, S::ahead>(
          [&] __attribute__((device, always_inline))(int i) {
            return load_keys<S::row>(m.keys.k + dim0, 16 * (i % N * S::row + i / N));
          },
          [&] __attribute__((device, always_inline))(int i, const key_frag& y) {
            if (i % N == 0) x = q.get(i / N);
            s[i % N] = score_mma(s[i % N], x, y);
          });
      runs.keys_used(k, j0);
      if constexpr (PARTS > 1) add_parts<PARTS>(m.scores, w, s);
      if (a.softcap > 0)
        UNROLL for (int n = 0; n < N; n++)
          UNROLL for (int e = 0; e < 8; e++) s[n][e] = capped(s[n][e], cap, low, a.softcap);
      else if (a.scale < 0)
        UNROLL for (int n = 0; n < N; n++) s[n] = -s[n];
      if (!see.all(j0, RUN))
        UNROLL for (int n = 0; n < N; n++)
          UNROLL for (int e = 0; e < 8; e++) {
            const bool sees = see.sees(query_index(e), j0 + 16 * n + key_of(e));
            s[n][e] = sees ? s[n][e] : -__builtin_inff();
          }
      float most[Q];
      bool above = false;
      UNROLL for (int i = 0; i < Q; i++) {
        most[i] = score_max(s, i);
        above |= most[i] > top[i] + slack;
      }
      if (any(above)) {
        float old[Q];
        UNROLL for (int i = 0; i < Q; i++) {
          const float t = __builtin_fmaxf(top[i], max_of_query(most[i]));
          old[i] = exp2_approx((top[i] - t) * by);
          top[i] = t;
          sums.scale(i, old[i]);
        }
        Acc times;
        UNROLL for (int e = 0; e < 8; e++) times[e] = old[query_index(e)];
        UNROLL for (int d = 0; d < OWN / 16; d++) o[d] *= times;
      }
      float off[Q];
      UNROLL for (int i = 0; i < Q; i++) off[i] = top[i] * -by;
      UNROLL for (int n = 0; n < N; n++) {
        half2 x[4];
        UNROLL for (int e = 0; e < 8; e += 2) {
          const float z = off[query_index(e)];
          x[e / 2] = halves(exp2_approx(__builtin_fmaf(s[n][e], by, z)), exp2_approx(__builtin_fmaf(s[n][e + 1], by, z)));
        }
        p[n] = weights_of(x);
        sums.add(p[n], x);
      }
    }
    runs.values_ready(m.keys, k, v, j0);
    {
      in_order<N * OWN / 16, S::ahead>(
          [&] __attribute__((device, always_inline))(int i) {
            const int n = i / (OWN / 16), d = i % (OWN / 16);
#if GPU_AMD
            return load_values<S::value_row>(m.keys.v + dim0 / 8 * S::value_octet, 2 * d * S::value_octet + 16 * n);
#else
            return load_values<S::value_row>(m.keys.v + dim0, 16 * n * S::row + 16 * d);
#endif
          },
          [&] __attribute__((device, always_inline))(int i, const value_frag& y) {
            o[i % (OWN / 16)] = value_mma(o[i % (OWN / 16)], p[i / (OWN / 16)], y);
          });
    }
    j0 += RUN;
    if (j0 >= runs.hi) more = start();
  }
  UNROLL for (int i = 0; i < Q; i++) {
    const int t = opaque(t0) + query_of(i);
    float l = sums.total(i), part = 1;
    if (a.sinks) {
      float x = top[i] * by, sink = a.sinks[h] * LOG2E, to = __builtin_fmaxf(x, sink);
      part = exp2_approx(x - to);
      l = l * part + exp2_approx(sink - to);
    }
    const bool none = t >= a.tokens || a.seq[t] < 0;
    part = none ? 0 : part / l;
    const i64 r = (i64)t * a.heads + h;
    UNROLL for (int d = 0; d < OWN / 16; d++)
      UNROLL for (int j = 0; j < lane_parts; j++) {
        lane_part y = dims_of(o[d], i, j) * part;
        const int c = dim0 + 16 * d + first_dim(j);
        fixed();
        if (t >= a.tokens) continue;
        if (none) y = 0;
        if (a.gate) {
          const lane_part g = *(const lane_part*)(a.gate + r * a.gate_stride + c);
          UNROLL for (int e = 0; e < lane_dims; e++) y[e] *= sigmoid_f(g[e]);
        }
        *(lane_part*)(a.o + r * D + c) = y;
      }
  }
}

// run_of is how many keys a run has: as many as registers allow.
#if defined(__GFX11__)
template <class T, int D> struct run_of { enum { keys = D > 128 ? 16 : 64 }; };
#else
template <class T, int D> struct run_of { enum { keys = D <= 128 ? 64 : D <= 256 && (!GPU_COPIES || is_half<T>::yes) ? 32 : 16 }; };
#endif
// Waves of a block, and the most dims that one has sums of if they are divided.
#if GPU_NVIDIA
enum { WAVES = 4, MOST = 128 };
#elif defined(__GFX11__)
enum { WAVES = 8, MOST = 128 };
#else
enum { WAVES = 8, MOST = 256 };
#endif

#define MMA(type, d)                                                           \
  KERNEL_TWICE(WAVES * 32) attention_##type##_mma##d(ATTENTION_PARAMS) {       \
    enum { run = run_of<type, d>::keys, parts = d > 256 ? d / MOST : 1 };      \
    LDS attention_lds<d, WAVES, run, parts> m;                                 \
    attention_mma<type, d, WAVES, run, parts>(ATTENTION_ARGS, m);              \
  }
#define TYPES(d) MMA(f16, d) MMA(bf16, d) MMA(q8_0, d)
TYPES(64)
MMA(f16, 80) MMA(bf16, 80) // rows of Q8_0 are multiples of 32
TYPES(96)
TYPES(128)
TYPES(256)
TYPES(512)
