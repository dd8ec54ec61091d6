// y[i] = x[i] · p.
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by scale.go.
#include "elementwise.h"

UNARY_PARAM(scale, v* p)
