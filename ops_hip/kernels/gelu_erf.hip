// y[i] = x[i]·Φ(x[i]), Φ the normal distribution.
// Φ(x) is the logistic function of x·p(x²), of which a polynomial, fitted for |x| ≤ 5.5, is p; beyond, where p stays as it
// is there, the result is x or below 2·10^-7. Off by at most 6·10^-8, and by rounding.
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/activations.go. Launched by gelu_erf.go.
#include "elementwise.h"

DEV float gelu_erf_f(float x) {
  float s = __builtin_fminf(x * x, 30.25f);
  float p = -3.91737033e-12f;
  p = __builtin_fmaf(p, s, 2.36654585e-10f);
  p = __builtin_fmaf(p, s, -1.66418579e-09f);
  p = __builtin_fmaf(p, s, -2.13530882e-07f);
  p = __builtin_fmaf(p, s, 7.71012128e-06f);
  p = __builtin_fmaf(p, s, -0.000110380643f);
  p = __builtin_fmaf(p, s, -6.43749008e-05f);
  p = __builtin_fmaf(p, s, 0.0726643428f);
  p = __builtin_fmaf(p, s, 1.59577072f);
  return x * sigmoid_f(x * p);
}

UNARY(gelu_erf, gelu_erf_f(v))
