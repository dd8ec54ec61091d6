// Rows of weights and of activations as operands of matrix instructions that lanes load themselves, without LDS. Since the order
// of elements along k is free as long as both operands have the same, a lane takes whole octets of a window of 32 elements:
//
//            rows of a tile of 16    octets of each row
//   gfx11    lane mod 16             all four
//   gfx12    lane mod 16             two, those of its half of the wave
//   NVIDIA   g and g+8, lane 4g+t    one, number t
#pragma once
#include "gemm.h"

#if GPU_NVIDIA
enum { tile_lane_rows = 2, tile_octets = 1 };
DEV int tile_row(int i) { return (lane() >> 2) + 8 * i; }
DEV int tile_octet() { return lane() & 3; }
#elif defined(__GFX12__)
enum { tile_lane_rows = 1, tile_octets = 2 };
DEV int tile_row(int) { return lane() & 15; }
DEV int tile_octet() { return lane() >> 4 << 1; }
#else
enum { tile_lane_rows = 1, tile_octets = 4 };
DEV int tile_row(int) { return lane() & 15; }
DEV int tile_octet() { return 0; }
#endif

// window is what a lane holds of 32 elements of the rows of a tile.
struct window {
  half8 octet[tile_lane_rows][tile_octets];
};

// window_part returns the fragment of half s of the elements.
DEV FragA window_part(const window& w, int s) {
#if GPU_NVIDIA
  u32x4 a = bits<u32x4>(w.octet[0][0]), b = bits<u32x4>(w.octet[1][0]);
  return {(u32x4){a[2 * s], b[2 * s], a[2 * s + 1], b[2 * s + 1]}};
#elif defined(__GFX12__)
  return w.octet[0][s];
#else
  return __builtin_shufflevector(w.octet[0][2 * s], w.octet[0][2 * s + 1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
}

// rounded2 returns h·d + c for two halves, rounded once.
DEV half2 rounded2(half2 h, float d, float c) { return halves(__builtin_fmaf((float)h[0], d, c), __builtin_fmaf((float)h[1], d, c)); }

// octet_halves returns d·(b - bias) - min for eight bytes b. They are turned to halves 1024+b first, for which no conversion is
// needed.
DEV half8 octet_halves(octet b, float d, float bias, float min = 0) {
  const float c = -(1024 + bias) * d - min;
  half8 y;
  UNROLL for (int j = 0; j < 4; j++) {
    half2 h = rounded2(bits<half2>(byte_pair(b[j / 2], j % 2)), d, c);
    y[2 * j] = h[0], y[2 * j + 1] = h[1];
  }
  return y;
}
DEV half8 signed_halves(octet b, float d) { return octet_halves(b ^ 0x80808080, d, 128); }

// tiles<Q> says how lanes read a step of elements of rows of weights, from `at` on: as windows.
//
//   windows              of a step, which has 32 elements for each
//   raw                  what a lane loads of a row
//   start(i)             the element of the step at which window i starts
//   load(r, w, k, at)
//   octet(r, i, j)       octet j of the lane's of window i, as halves
template <class Q> struct tiles;

// tile_halves is how many halves of a window a lane has octets of, the first of which is tile_half().
enum { tile_halves = tile_octets == 4 ? 2 : 1 };
DEV int tile_half() { return tile_octet() / 2; }

// window_bytes are a lane's of a window that has a byte an element.
struct window_bytes {
  octet part[tile_octets];
};
DEV void load_window(window_bytes& b, const u8* p) {
  p += 8 * tile_octet();
  if constexpr (tile_octets == 1)
    b.part[0] = octet_8(p);
  else
    UNROLL for (int j = 0; j < tile_octets; j += 2) {
      u32x4 v = *(const u32x4*)(p + 8 * j);
      b.part[j] = v.xy, b.part[j + 1] = v.zw;
    }
}

template <> struct tiles<q8_0> {
  enum { windows = 4 };
  struct raw {
    window_bytes codes[windows];
    float scale[windows];
  };
  DEV int start(int i) { return 32 * i; }
  DEV void load(raw& r, const u8* w, int k, int at) {
    UNROLL for (int i = 0; i < windows; i++) {
      const int from = at + 32 * i < k ? at + 32 * i : 0; // what is past the end of the row counts as 0
      load_window(r.codes[i], w + from);
      r.scale[i] = weight_row<q8_0>::scale(w, k, from / 32);
    }
    UNROLL for (int i = 0; i < windows; i++) r.scale[i] = at + 32 * i < k ? r.scale[i] : 0;
  }
  DEV half8 octet(const raw& r, int i, int j) { return signed_halves(r.codes[i].part[j], r.scale[i]); }
};

// Windows 2g and 2g+1 are sub-blocks, which share bytes.
template <> struct tiles<q4_k> {
  enum { windows = 8 };
  struct raw {
    window_bytes codes[4];
    u32 scales[4];
    half2 d;
  };
  DEV int start(int i) { return 32 * i; }
  DEV void load(raw& r, const u8* w, int k, int at) {
    const u8* codes = weight_row<q4_k>::codes(w, (u32)at / 256);
    UNROLL for (int i = 0; i < 4; i++) load_window(r.codes[i], codes + 32 * i);
    const u8* head = w + (u32)k / 2 + (u32)at / 256 * 20;
    u32x4 s = load128_4(head);
    UNROLL for (int i = 0; i < 4; i++) r.scales[i] = s[i];
    r.d = bits<half2>(load32(head + 16));
  }
  DEV f32x2 scale(const raw& r, int i) {
    const u32 code = r.scales[i / 2] >> 8 * (i % 2);
    return (f32x2){(float)r.d[0] * (float)(code & 255), (float)r.d[1] * (float)(code >> 16 & 255)};
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const u32 in = i % 2 ? 16 : 1; // codes are at the top of bytes in odd windows
    const float d = scale(r, i)[0], m = scale(r, i)[1];
    const float step = d * (1.0f / in), c = -(1024.0f / in) * d - m;
    const u32 mask = 0x000f000f * in;
    half8 y;
    UNROLL for (int v = 0; v < 2; v++) {
      u32 q = r.codes[i / 2].part[j][v];
      half2 even = rounded2(bits<half2>((q & mask) | 0x64006400), step, c), odd = rounded2(bits<half2>((q >> 8 & mask) | 0x64006400), step, c);
      y[4 * v] = even[0], y[4 * v + 1] = odd[0], y[4 * v + 2] = even[1], y[4 * v + 3] = odd[1];
    }
    return y;
  }
};

// Windows 4n+c and 4n+2+c are two runs each of strips 4n+2c and 4n+2c+1.
template <> struct tiles<q6_k> {
  enum { windows = 8 };
  enum { strips = tile_halves };
  struct raw {
    window_bytes low[4];
    ::octet high[4][strips];
    u32 scales[4][strips];
    float d;
  };
  DEV int start(int i) { return 128 * (i / 4) + 32 * (i % 2) + 64 * (i / 2 % 2); }
  DEV void load(raw& r, const u8* w, int k, int at) {
    typedef weight_row<q6_k> row;
    const u32 b = (u32)at / 256;
    const u8* scales = w + (u32)k / 4 * 3 + 18 * b;
    UNROLL for (int i = 0; i < 4; i++) {
      load_window(r.low[i], row::low(w, b, 2 * i));
      UNROLL for (int e = 0; e < strips; e++) {
        const u32 s = 2 * i + tile_half() + e;
        r.high[i][e] = row::high(w, k, b, s);
        r.scales[i][e] = load16(scales + 2 * s);
      }
    }
    r.d = half_at(scales + 16) * 0.25f;
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const int pair = i / 4 * 2 + i % 2, e = i / 2 % 2, s = j / 2;
    const ::octet q = weight_row<q6_k>::codes(r.low[pair].part[j], r.high[pair][s], tile_octets == 1 ? tile_octet() % 2 : j % 2, e);
    return signed_halves(q, r.d * (float)(i8)(r.scales[pair][s] >> 8 * e));
  }
};

template <> struct tiles<q5_k> : tiles<q4_k> {
  struct raw : tiles<q4_k>::raw {
    u32 high[4][tile_halves];
  };
  DEV void load(raw& r, const u8* w, int k, int at) {
    tiles<q4_k>::load(r, w, k, at);
    UNROLL for (int i = 0; i < 4; i++)
      UNROLL for (int h = 0; h < tile_halves; h++) r.high[i][h] = weight_row<q5_k>::high(w, k, (u32)at / 256 * 8 + 2 * i + tile_half() + h);
  }
  DEV half8 octet(const raw& r, int i, int j) {
    ::octet q = r.codes[i / 2].part[j] >> 4 * (i % 2) & 0x0f0f0f0f;
    q = with_fifth(q, r.high[i / 2][j / 2], 2 * (i % 2) + (tile_octet() + j) % 2);
    f32x2 d = scale(r, i);
    return octet_halves(q, d[0], 0, d[1]);
  }
};

// Windows 4n+j are runs j of strips 2n and 2n+1.
struct strip_tiles {
  enum { windows = 8 };
  struct raw {
    window_bytes codes[2];
    u32 scales[2][tile_halves];
  };
  DEV int start(int i) { return 32 * i; }
  template <class Row> DEV void load(raw& r, const u8* w, int k, u32 strip) {
    UNROLL for (int n = 0; n < 2; n++) {
      load_window(r.codes[n], Row::codes(w, strip + 2 * n));
      UNROLL for (int h = 0; h < tile_halves; h++) r.scales[n][h] = Row::scales(w, k, strip + 2 * n + tile_half() + h);
    }
  }
};
template <> struct tiles<q2_k> : strip_tiles {
  struct raw : strip_tiles::raw {
    half2 d;
  };
  DEV void load(raw& r, const u8* w, int k, int at) {
    strip_tiles::load<weight_row<q2_k>>(r, w, k, (u32)at / 64);
    r.d = weight_row<q2_k>::ends(w, k, (u32)at / 256);
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const u32 code = r.scales[i / 4][j / 2] >> 8 * (i % 4);
    return octet_halves(r.codes[i / 4].part[j] >> 2 * (i % 4) & 0x03030303, (float)r.d[0] * (float)(code & 15), 0, (float)r.d[1] * (float)(code >> 4 & 15));
  }
};
template <> struct tiles<q3_k> : strip_tiles {
  struct raw : strip_tiles::raw {
    ::octet high[2][tile_halves];
    float d;
  };
  DEV void load(raw& r, const u8* w, int k, int at) {
    typedef weight_row<q3_k> row;
    strip_tiles::load<row>(r, w, k, (u32)at / 64);
    UNROLL for (int n = 0; n < 2; n++)
      UNROLL for (int h = 0; h < tile_halves; h++) r.high[n][h] = row::high(w, k, (u32)at / 64 + 2 * n + tile_half() + h);
    r.d = row::scale(w, k, (u32)at / 256);
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const ::octet low = r.codes[i / 4].part[j], high = r.high[i / 4][j / 2];
    const u32 v = 2 * ((tile_octet() + j) % 2);
    const ::octet q = {weight_row<q3_k>::values(low[0], high, i % 4, v), weight_row<q3_k>::values(low[1], high, i % 4, v + 1)};
    return signed_halves(q, r.d * (float)(i8)(r.scales[i / 4][j / 2] >> 8 * (i % 4)));
  }
};

// The types of quant_nibbles.h. block<Q> says what a block has beside nibbles, and value() what becomes of octet o of it.
struct nibble_block {
  float scale, min;
  u32 more; // high bits, or codes of scales
};
template <class Q> struct nibble_type;
template <class Q> struct nibble_tiles {
  enum { windows = 4 };
  struct raw {
    octet codes[windows][tile_octets == 1 ? 1 : 2];
    nibble_block block[windows];
  };
  DEV int start(int i) { return 32 * i; }
  DEV void load(raw& r, const u8* w, int k, int at) {
    UNROLL for (int i = 0; i < windows; i++) {
      const int from = at + 32 * i < k ? at + 32 * i : 0; // what is past the end of the row counts as 0
      const u8* p = w + (u32)from / 2;
      if constexpr (tile_octets == 1) {
        r.codes[i][0] = octet_8(p + 8 * (tile_octet() % 2));
      } else {
        u32x4 q = *(const u32x4*)p;
        r.codes[i][0] = q.xy, r.codes[i][1] = q.zw;
      }
      r.block[i] = nibble_type<Q>::block(w, k, (u32)from / 32);
    }
    UNROLL for (int i = 0; i < windows; i++)
      if (at + 32 * i >= k) r.block[i].scale = r.block[i].min = 0;
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const int o = tile_octet() + j;
    return nibble_type<Q>::value(r.codes[i][tile_octets == 1 ? 0 : j % 2] >> 4 * (o / 2) & 0x0f0f0f0f, r.block[i], o);
  }
};
#define NIBBLE_TILES(q, BLOCK, VALUE)                                                     \
  template <> struct nibble_type<q> {                                                     \
    typedef weight_row<q> row;                                                            \
    DEV nibble_block block(const u8* w, int k, u32 n) { return BLOCK; }                   \
    DEV half8 value(octet v, const nibble_block& b, int o) { return VALUE; }              \
  };                                                                                      \
  template <> struct tiles<q> : nibble_tiles<q> {};
NIBBLE_TILES(q4_0, (nibble_block{row::scale(w, k, n)}), octet_halves(v, b.scale, 8))
NIBBLE_TILES(q4_1, (nibble_block{row::scales(w, k, n)[0], -(float)row::scales(w, k, n)[1]}), octet_halves(v, b.scale, 0, b.min))
NIBBLE_TILES(q5_0, (nibble_block{row::scale(w, k, n), 0, row::high(w, k, n)}), octet_halves(with_fifth(v, b.more, o), b.scale, 16))
NIBBLE_TILES(q5_1, (nibble_block{row::scales(w, k, n)[0], -(float)row::scales(w, k, n)[1], row::high(w, k, n)}),
             octet_halves(with_fifth(v, b.more, o), b.scale, 0, b.min))
NIBBLE_TILES(iq4_nl, (nibble_block{row::scale(w, k, n)}), signed_halves(iq4_values(v), b.scale))
NIBBLE_TILES(iq4_xs, (nibble_block{row::end(w, k, n / 8) * row::scale(w, k, n)}), signed_halves(iq4_values(v), b.scale))
NIBBLE_TILES(mxfp4, (nibble_block{row::scale(w, k, n)}), signed_halves(fp4_values(v), b.scale))
NIBBLE_TILES(nvfp4, (nibble_block{1, 0, row::scales(w, k, n)}), signed_halves(fp4_values(v), b.scale * row::value(b.more >> 8 * (o / 2))))
