// y[i] = p · tanh(x[i] / p).
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by softcap.go.
#include "elementwise.h"

UNARY_PARAM(softcap, p* tanh_f(v / p))
