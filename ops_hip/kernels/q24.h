// The 24-bit codes of activations that integer products read: see mul_mat_x_q24 in mul_mat_x.hip. Kernels whose results are
// read by such products write the codes as well, so that nothing has to read the results again.
#pragma once
#include "gpu.h"

#define Q24_TOP 8323072.0f // 127·65536, the code of the largest magnitude

// q24_out is where codes go: a matrix of `plane` elements as three planes of bytes, and two floats a block. Without codes
// nothing is written.
struct q24_out {
  i8* codes;
  float* ds;
  u32 plane;
};

// q24_scale returns what to multiply elements of a block with whose largest magnitude is m.
DEV float q24_scale(float m) { return m > 0x1p-100f ? Q24_TOP / m : 0; }

// q24_bytes splits a code c = 65536·h + 256·l + e. Each byte is the nearest to what is left, so that all are signed; none
// overflows, since the first is at most 127.
DEV void q24_bytes(float r, int& h, int& l, int& e) {
  int c = (int)r;
  e = (i8)c, l = (i8)((c - e) >> 8), h = (((c - e) >> 8) - l) >> 8;
}

// q24_block_end writes the floats of block b: its step, and that times the sum of its codes.
DEV void q24_block_end(float m, float sum, float* ds, u32 b) {
  float d = m * (1 / Q24_TOP);
  if (sum != sum) d = sum;
  *(f32x2*)(ds + 2 * (u64)b) = (f32x2){d, d * sum};
}

// q24_lanes writes element i, of which each lane of a wave has one: the wave is a block.
DEV void q24_lanes(float v, u64 i, q24_out out) {
  float m = wave_max(__builtin_fabsf(v));
  float r = __builtin_rintf(v * q24_scale(m));
  int h, l, e;
  q24_bytes(r, h, l, e);
  out.codes[i] = (i8)h;
  out.codes[out.plane + i] = (i8)l;
  out.codes[2 * (u64)out.plane + i] = (i8)e;
  float sum = wave_sum(r);
  if (lane() == 0) q24_block_end(m, sum, out.ds, (u32)(i / 32));
}

// q24_vectors writes vector i of 4 elements, of which each lane has one: eight lanes are a block, which is written if it is
// live.
DEV void q24_vectors(f32x4 v, u32 i, q24_out out, bool live = true) {
  float m = 0, sum = 0;
  UNROLL for (int k = 0; k < 4; k++) m = __builtin_fmaxf(m, __builtin_fabsf(v[k]));
  m = lanes_max<8>(m);
  float scale = q24_scale(m);
  u32 hs = 0, ls = 0, es = 0;
  UNROLL for (int k = 0; k < 4; k++) {
    float r = __builtin_rintf(v[k] * scale);
    int h, l, e;
    q24_bytes(r, h, l, e);
    hs |= (u32)(u8)h << 8 * k, ls |= (u32)(u8)l << 8 * k, es |= (u32)(u8)e << 8 * k;
    sum += r;
  }
  sum = lanes_sum<8>(sum);
  if (!live) return;
  ((u32*)out.codes)[i] = hs;
  ((u32*)(out.codes + out.plane))[i] = ls;
  ((u32*)(out.codes + 2 * (u64)out.plane))[i] = es;
  if ((lane() & 7) == 0) q24_block_end(m, sum, out.ds, i / 8);
}
