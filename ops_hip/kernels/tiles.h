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

// octet_halves returns d·(b - bias) for eight bytes b. They are turned to halves 1024+b first, for which no conversion is needed.
DEV half8 octet_halves(octet b, float d, float bias) {
  const float c = -(1024 + bias) * d;
  half8 y;
  UNROLL for (int j = 0; j < 4; j++) {
    half2 h = rounded2(bits<half2>(byte_pair(b[j / 2], j % 2)), d, c);
    y[2 * j] = h[0], y[2 * j + 1] = h[1];
  }
  return y;
}

// tiles<Q> says how lanes read a step of elements of rows of weights, from `at` on: as windows.
//
//   windows              of a step, which has 32 elements for each
//   raw                  what a lane loads of a row
//   start(i)             the element of the step at which window i starts
//   load(r, w, k, at)
//   octet(r, i, j)       octet j of the lane's of window i, as halves
template <class Q> struct tiles;

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
  DEV half8 octet(const raw& r, int i, int j) { return octet_halves(r.codes[i].part[j] ^ 0x80808080, r.scale[i], 128); }
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
  DEV half8 octet(const raw& r, int i, int j) {
    const u32 code = r.scales[i / 2] >> 8 * (i % 2), in = i % 2 ? 16 : 1; // codes are at the top of bytes in odd windows
    const float d = (float)r.d[0] * (float)(code & 255), m = (float)r.d[1] * (float)(code >> 16 & 255);
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
  enum { strips = tile_octets == 4 ? 2 : 1 }; // of the two that a lane needs
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
        const u32 s = 2 * i + tile_octet() / 2 + e;
        r.high[i][e] = row::high(w, k, b, s);
        r.scales[i][e] = load16(scales + 2 * s);
      }
    }
    r.d = half_at(scales + 16) * 0.25f;
  }
  DEV half8 octet(const raw& r, int i, int j) {
    const int pair = i / 4 * 2 + i % 2, e = i / 2 % 2, s = j / 2;
    const ::octet q = weight_row<q6_k>::codes(r.low[pair].part[j], r.high[pair][s], tile_octets == 1 ? tile_octet() % 2 : j % 2, e);
    return octet_halves(q ^ 0x80808080, r.d * (float)(i8)(r.scales[pair][s] >> 8 * e), 128);
  }
};
