// y[i] = 0.5·x[i]·(1 + tanh(√(2/π)·(x[i] + 0.044715·x[i]³))).
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""activations.go. Launched by gelu.go.
#include "elementwise.h"

UNARY(gelu, gelu_f(v))
