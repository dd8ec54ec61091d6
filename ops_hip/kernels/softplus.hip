// y[i] = ln(1 + e^x[i]).
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by softplus.go.
#include "elementwise.h"

UNARY(softplus, softplus_f(v))
