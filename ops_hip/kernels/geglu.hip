// y[i] = gelu(gate[i]) · up[i].
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""gated.go. Launched by geglu.go.
#include "elementwise.h"

GATED(geglu, gelu_f(g) * u)
