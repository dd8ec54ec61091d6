// Tiles of operands in LDS, 32 elements of each row at a time, and how weights get there.
//
// panel<Q> brings rows of weights of type Q, of which two threads next to each other have 16 elements each of a window of 32:
//
//   windows                of a part: so many share what is loaded
//   raw, load(d, w, k, n)  what a thread loads of part n of a row of k weights
//   start(n, i)            the element of the row at which window i of part n starts
//   octet<REST>(d, i, j)   the thread's j-th eight of window i, rounded, or what rounding takes from them
#pragma once
#include "tiles.h"

// operand<Q> is the type that matrix kernels multiply weights of type Q in, eight of which are operand8<Q>.
template <class Q> struct operand_of {
  typedef half type;
  typedef half8 vector;
};
template <> struct operand_of<bf16> {
  typedef bhalf type;
  typedef short8 vector;
};
template <class Q> using operand = typename operand_of<Q>::type;
template <class Q> using operand8 = typename operand_of<Q>::vector;

DEV half8 rounded8(half, const float (&v)[8]) {
  half8 y;
  UNROLL for (int j = 0; j < 8; j++) y[j] = (half)v[j];
  return y;
}
DEV short8 rounded8(bhalf, const float (&v)[8]) {
  short8 y;
  UNROLL for (int j = 0; j < 8; j++) y[j] = (short)to_bhalf(v[j]);
  return y;
}

// The types without tiles are dequantized where they are loaded.
template <class Q, class = void> struct panel {
  enum { windows = 1 };
  struct raw {
    group v[2];
  };
  DEV int start(int n, int) { return 32 * n; }
  DEV void load(raw& d, const u8* w, int k, int n) {
    UNROLL for (int j = 0; j < 2; j++) weight_row<Q>::get(w, 4 * n + shared_place::octet() + j, k, d.v[j]);
  }
  template <bool REST> DEV operand8<Q> octet(const raw& d, int, int j) {
    group v;
    UNROLL for (int e = 0; e < 8; e++) v[e] = REST ? rest(d.v[j][e], rounded(operand<Q>(), d.v[j][e])) : d.v[j][e];
    return rounded8(operand<Q>(), v);
  }
};

template <class Q> struct panel<Q, decltype((void)sizeof(tiles<Q, shared_place>))> {
  typedef tiles<Q, shared_place> T;
  enum { windows = T::windows };
  struct raw {
    typename T::head head;
    typename T::part part;
  };
  DEV int step(int n) { return 32 * T::windows * T::parts * (n / T::parts); }
  DEV int start(int n, int i) { return step(n) + T::start(n % T::parts, i); }
  DEV void load(raw& d, const u8* w, int k, int n) {
    T::load_head(d.head, w, k, step(n), n % T::parts);
    T::load_part(d.part, w, k, step(n), n % T::parts);
  }
  template <bool REST> DEV half8 octet(const raw& d, int i, int j) {
    const ::octet codes = T::codes(d.part, i, j);
    const f32x2 scale = T::scale(d.head, d.part, 0, i, 0); // of the one part that was asked for
    if constexpr (REST) return octet_rests(codes, scale);
    return octet_halves(codes, scale);
  }
};

// lds_at is where chunk c, elements 8c to 8c+7, of row r of a tile lies: such that the rows of a fragment start in different
// banks. lds_row is the size of a row.
#if GPU_NVIDIA
enum { lds_row = 32 };
DEV int lds_at(int r, int c) { return lds_row * r + 8 * (c ^ (r >> 1 & 3)); }

// fragment_a and fragment_b read 16 rows of a tile from r on, elements k to k+15.
template <class T> DEV FragOfA<T> fragment_a(const T* tile, int r, int k) {
  return {ldmatrix(lds_address(tile) + 2 * lds_at(r + (lane() & 15), k / 8 + (lane() >> 4)))};
}
template <class T> DEV FragOfB<T> fragment_b(const T* tile, int r, int k) {
  return {ldmatrix(lds_address(tile) + 2 * lds_at(r + (lane() >> 1 & 8) + (lane() & 7), k / 8 + (lane() >> 3 & 1)))};
}
#else
enum { lds_row = 40 };
DEV int lds_at(int r, int c) { return lds_row * r + 8 * c; }
template <class T> DEV auto fragment_a(const T* tile, int r, int k) { return load_a(tile + lds_row * r + k, lds_row); }
template <class T> DEV auto fragment_b(const T* tile, int r, int k) { return load_b(tile + lds_row * r + k, lds_row); }
#endif
