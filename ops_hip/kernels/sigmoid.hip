// y[i] = 1 / (1 + e^-x[i]).
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by sigmoid.go.
#include "elementwise.h"

UNARY(sigmoid, sigmoid_f(v))
