// Elementary functions from the approximations of the hardware. Errors are bounds over all finite arguments, with
// approximations of 1 ulp underneath.
#pragma once
#include "gpu.h"

#define LOG2E 1.4426950408889634f
#define LOG2E_LOW 1.9259630e-8f // log2(e) - LOG2E
#define LN2 0.6931471805599453f

// exp_f returns e^x: 3 ulp. The rounding of x·log2(e), which would cost |x| ulps, is put back in first order.
DEV float exp_f(float x) {
  float h = pin(x * LOG2E);
  float low = __builtin_fmaf(x, LOG2E, -h);
  low = __builtin_fmaf(x, LOG2E_LOW, low);
  float y = exp2_approx(h);
  return x < -126.0f || x > 126.0f ? y : y * __builtin_fmaf(low, LN2, 1.0f); // infinities have no low part
}

// sigmoid_f returns 1 / (1 + e^-x): 5 ulp.
DEV float sigmoid_f(float x) { return rcp(1.0f + exp_f(-x)); }

// silu_f returns x / (1 + e^-x): 6 ulp.
DEV float silu_f(float x) { return x * sigmoid_f(x); }

// silu_ranged is silu_f with the exponent kept within what the correction of exp_f holds for, in fewer instructions: beyond, the
// sigmoid is 1 or 0 already.
DEV float silu_ranged(float x) {
  float y = within(x, 126.0f), h = pin(y * -LOG2E);
  float low = __builtin_fmaf(y, -LOG2E_LOW, __builtin_fmaf(y, -LOG2E, -h));
  return x * rcp(__builtin_fmaf(exp2_approx(h), __builtin_fmaf(low, LN2, 1.0f), 1.0f));
}

// gelu_arg returns 2u, u = √(2/π)(x + 0.044715x³).
DEV float gelu_arg(float x) {
  float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return 2.0f * u;
}

// gelu_f returns 0.5x(1 + tanh(u)) as x·sigmoid(2u): no cancellation.
DEV float gelu_f(float x) { return x * sigmoid_f(gelu_arg(x)); }

// gate says how the first of two products gates the second.
enum gate { ungated, gate_swiglu, gate_geglu };

// gated_f returns silu_f(g)·u or gelu_f(g)·u.
DEV float gated_f(int gate, float g, float u) { return g * sigmoid_f(gate == gate_swiglu ? g : gelu_arg(g)) * u; }

// tanh_f returns the hyperbolic tangent: 6 ulp. Near zero it is sinh/cosh from their series, whose first omitted
// terms are below 2^-27 there; beyond, 1 - 2/(e^2|x| + 1) does not cancel.
DEV float tanh_f(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  if (a < 0.5f) {
    float sinh = 1.0f + z * (1.0f / 6) * (1.0f + z * (1.0f / 20) * (1.0f + z * (1.0f / 42)));
    float cosh = 1.0f + z * (1.0f / 2) * (1.0f + z * (1.0f / 12) * (1.0f + z * (1.0f / 30) * (1.0f + z * (1.0f / 56))));
    return x * sinh * rcp(cosh);
  }
  return __builtin_copysignf(1.0f - 2.0f * rcp(exp_f(2.0f * a) + 1.0f), x);
}

// softplus_f returns ln(1 + e^x), and x above 20. The factor e/(u-1) undoes the rounding of u = 1 + e (W. Kahan).
DEV float softplus_f(float x) {
  if (x > 20.0f) return x;
  float e = exp_f(x), u = pin(1.0f + e);
  return u == 1.0f ? e : LN2 * log2_approx(u) * (e / (u - 1.0f));
}

// sincos_f writes sine and cosine of the angle n·f radians, n an integer below 2^24: 2^-22 absolute at any n·f
// below 2^24. The product is carried in two floats, turned into revolutions, and reduced before any rounding
// matters.
DEV void sincos_f(float n, float f, float& s, float& c) {
  const float turn = 0.15915494f, turn_low = 6.4206383e-9f; // 1/(2π) in two floats
  float p = pin(n * f), p_low = __builtin_fmaf(n, f, -p);
  float h = pin(p * turn), h_low = __builtin_fmaf(p, turn, -h);
  h_low = __builtin_fmaf(p, turn_low, h_low);
  h_low = __builtin_fmaf(p_low, turn, h_low);
  float r = (h - __builtin_rintf(h)) + h_low; // revolutions, about -0.5..0.5
  float q = __builtin_rintf(4.0f * r);        // quarters
  float x = 6.2831855f * (r - 0.25f * q), z = x * x;
  float sin = x * (1.0f - z * (1.0f / 6) * (1.0f - z * (1.0f / 20) * (1.0f - z * (1.0f / 42) * (1.0f - z * (1.0f / 72)))));
  float cos = 1.0f - z * (1.0f / 2) * (1.0f - z * (1.0f / 12) * (1.0f - z * (1.0f / 30) * (1.0f - z * (1.0f / 56) * (1.0f - z * (1.0f / 90)))));
  int k = (int)q & 3;
  s = k & 1 ? cos : sin;
  c = k & 1 ? sin : cos;
  if (k & 2) s = -s;
  if (k == 1 || k == 2) c = -c;
}
