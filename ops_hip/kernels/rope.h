// Rotation of a pair of elements of a head, shared by rope and what is fused with it.
#pragma once
#include "math.h"

// rotate turns (a, b) by the angle pos·freq: (a·cos - b·sin, a·sin + b·cos), cosine and sine times mscale. Angles are
// reduced in two floats (sincos_f), so that long contexts lose nothing. Positions are below 2^24.
DEV void rotate(float& a, float& b, int pos, float freq, float mscale) {
  float s, c;
  sincos_f((float)pos, freq, s, c);
  s *= mscale, c *= mscale;
  float x = a, y = b;
  a = x * c - y * s;
  b = x * s + y * c;
}

// first_of and second_of are the elements of pair i: (i, i+half), or (2i, 2i+1) where pairs are interleaved.
DEV u32 first_of(u32 i, bool interleaved) { return interleaved ? 2 * i : i; }
DEV u32 second_of(u32 i, u32 half, bool interleaved) { return interleaved ? 2 * i + 1 : i + half; }
