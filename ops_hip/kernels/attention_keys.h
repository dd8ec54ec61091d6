// How keys and values of a paged cache get to LDS, a run of them at a time, for all waves of a block: on NVIDIA by copies where the
// cache has halves, else through registers, into which the next run is loaded while one is in use.
#pragma once
#include "attention_tiles.h"
#include "cached_rows.h"

template <class T> struct is_half { enum { yes = 0 }; };
template <> struct is_half<f16> { enum { yes = 1 }; };

// key_sizes are those of runs of RUN keys, which WAVES waves bring. Rows of LDS are followed by a gap, so that the eight of them that
// are read or written at once are in different banks.
template <int D, int WAVES, int RUN> struct key_sizes {
  enum {
    row = D + 8, // halves, of a key
#if GPU_AMD
    value_row = RUN + (D > 256 ? 0 : 8), value_octet = 8 * value_row + 8, values = D / 8 * value_octet,
#else
    value_row = row, values = RUN * row,
#endif
    own = RUN / WAVES,         // keys that a wave brings
    place = own < 8 ? own : 8, // of them, that follow each other in the cache
    places = own / place,
    octets = D / 8,         // of a row
    lanes = octets <= 4 ? 4 : octets <= 8 ? 8 : octets <= 16 ? 16 : 32, // that load a row, of which the last might be too many
    at_once = 32 / lanes,   // rows that a wave loads at once
    turns = octets > 32 ? octets / 32 : 1, // octets of a row that a lane has, every 32nd
    each = place / at_once, // keys of a place, of which a lane has an octet
    late = D > 128,         // registers are too few for the next keys while scores are computed
    ahead = late ? 1 : 2,   // fragments on the way
  };
};

template <int D, int WAVES, int RUN> struct key_lds {
  half k[RUN * key_sizes<D, WAVES, RUN>::row], v[key_sizes<D, WAVES, RUN>::values];
};

template <int N> DEV half8 halves8(const cached<f16, N>& x) { return x.v[0]; }
template <class X> DEV half8 halves8(const X& x) {
  float y[8];
  x.get(0, y), x.get(1, y + 4);
  half8 h;
  UNROLL for (int j = 0; j < 8; j += 2) {
    half2 two = halves(y[j], y[j + 1]);
    h[j] = two[0], h[j + 1] = two[1];
  }
  return h;
}

// key_runs brings runs of the keys lo..hi-1 of a sequence. Keys of a run outside of them are replaced by ones inside, since what is
// there might not be numbers.
template <class T, int D, int WAVES, int RUN> struct key_runs {
  typedef key_sizes<D, WAVES, RUN> S;
  enum { copied = GPU_COPIES && is_half<T>::yes };
  const int* pages; // of the sequence
  int lo, hi, shift; // log2 of the page size, which is 8 or more
  int own;           // first key of a run that the wave brings
  u32 stride;        // bytes from a key to the next
  u32 lane_row;      // of the first of a place that the lane has
  int page[S::places];
  cached<T, 8> raw[S::places][S::each][S::turns];

  DEV_METHOD bool spare() const { return S::lanes > S::octets && lane() % S::lanes >= S::octets; }
  DEV_METHOD int octet() const { return spare() ? S::octets - 1 : lane() % S::lanes; }
  DEV_METHOD int key() const { return lane() / S::lanes * S::each; } // first of a place
  DEV_METHOD int in_run(int p) const { return own + p * S::place; }
  DEV_METHOD int first(int p, int j0) const {
    const int f = j0 + in_run(p), least = lo & -S::place, most = (hi - 1) & -S::place;
    return f < least ? least : f > most ? most : f;
  }
  // look asks where the run from j0 on is.
  DEV_METHOD void look(int j0) {
    UNROLL for (int p = 0; p < S::places; p++) page[p] = pages[first(p, j0) >> shift];
  }
  template <class F> DEV_METHOD void rows(const u8* from, int j0, F f) {
    UNROLL for (int p = 0; p < S::places; p++) {
      const int k0 = first(p, j0);
      const u8* at = from + (((i64)uniform(page[p]) << shift) + (k0 & ((1 << shift) - 1))) * stride;
      const u32 least = lo > k0 ? (lo - k0) * stride : 0, most = (hi - k0 < S::place ? hi - 1 - k0 : S::place - 1) * stride;
      if (GPU_COPIES && lo <= k0 && k0 + S::place <= hi) { // few instructions more than copies
        UNROLL for (int i = 0; i < S::each; i++) f(p, i, at + lane_row, i * stride);
        continue;
      }
      UNROLL for (int i = 0; i < S::each; i++) {
        u32 row = lane_row + i * (u32)opaque((int)stride); // lest each takes a register
        row = row < least ? least : row;
        f(p, i, at, row > most ? most : row);
      }
    }
  }
  // load asks for a run whose place is known.
  DEV_METHOD void load(const u8* from, int j0) {
    rows(from, j0, [&] __attribute__((device, always_inline))(int p, int i, const u8* at, u32 row) {
      UNROLL for (int n = 0; n < S::turns; n++) raw[p][i][n].load(at, row, 8 * (octet() + 32 * n));
    });
  }
  DEV_METHOD void put_rows(half* to) const {
    if (spare()) return;
    UNROLL for (int p = 0; p < S::places; p++)
      UNROLL for (int i = 0; i < S::each; i++)
        UNROLL for (int n = 0; n < S::turns; n++)
          *(half8*)(to + (in_run(p) + key() + i) * S::row + 8 * (octet() + 32 * n)) = halves8(raw[p][i][n]);
  }
#if GPU_COPIES
  DEV_METHOD void copy(half* to, const u8* from, int j0) {
    u32 lds = lds_address(to + (in_run(0) + key()) * S::row + 8 * octet());
    rows(from + 16 * octet(), j0, [&] __attribute__((device, always_inline))(int p, int i, const u8* at, u32 row) {
      if (!spare())
        UNROLL for (int n = 0; n < S::turns; n++) copy16(lds + 2 * (p * S::place + i) * S::row + 512 * n, at + row + 512 * n);
    });
    copies_end();
  }
#endif
#if GPU_AMD
  DEV_METHOD void put_values(half* to) const {
    typedef half some __attribute__((ext_vector_type(S::each)));
    static_assert(S::places == 1, "");
    if (spare()) return;
    UNROLL for (int n = 0; n < S::turns; n++) {
      half8 x[S::each];
      UNROLL for (int i = 0; i < S::each; i++) x[i] = halves8(raw[0][i][n]);
      UNROLL for (int j = 0; j < 8; j++) {
        some y;
        UNROLL for (int i = 0; i < S::each; i++) y[i] = x[i][j];
        *(some*)(to + (octet() + 32 * n) * S::value_octet + j * S::value_row + in_run(0) + key()) = y;
      }
    }
  }
#else
  DEV_METHOD void put_values(half* to) const { put_rows(to); }
#endif

  // Runs go so: begin; for each run keys_ready, use of its keys, keys_used, values_ready, use of its values. All threads of the block
  // call them; those that say ready have a barrier.
  DEV_METHOD void begin(key_lds<D, WAVES, RUN>& m, const u8* k, const u8* v, int j0) {
    lane_row = key() * stride, own = uniform(wave()) * S::own;
    look(j0);
#if GPU_COPIES
    if constexpr (copied) return copy(m.k, k, j0);
#endif
    load(k, j0);
    put_rows(m.k);
    load(v, j0);
    look(j0 + RUN);
  }
  DEV_METHOD void keys_ready(key_lds<D, WAVES, RUN>& m, const u8* k, const u8* v, int j0) {
#if GPU_COPIES
    if constexpr (copied) {
      copies_done<0>();
      barrier();
      copy(m.v, v, j0);
      return look(j0 + RUN);
    }
#endif
    barrier();
    put_values(m.v);
    if (!S::late && j0 + RUN < hi) load(k, j0 + RUN);
  }
  DEV_METHOD void keys_used(const u8* k, int j0) {
    if (!copied && S::late && j0 + RUN < hi) load(k, j0 + RUN);
  }
  DEV_METHOD void values_ready(key_lds<D, WAVES, RUN>& m, const u8* k, const u8* v, int j0) {
#if GPU_COPIES
    if constexpr (copied) {
      copies_done<0>();
      barrier();
      if (j0 + RUN < hi) copy(m.k, k, j0 + RUN);
      return;
    }
#endif
    barrier();
    if (j0 + RUN >= hi) return;
    put_rows(m.k);
    load(v, j0 + RUN);
    look(j0 + 2 * RUN);
  }
};
