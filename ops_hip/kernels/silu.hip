// y[i] = x[i] · sigmoid(x[i]).
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by silu.go.
#include "elementwise.h"

UNARY(silu, silu_f(v))
