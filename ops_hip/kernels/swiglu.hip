// y[i] = gate[i] · sigmoid(gate[i]) · up[i].
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""gated.go. Launched by swiglu.go.
#include "elementwise.h"

GATED(swiglu, silu_f(g) * u)
