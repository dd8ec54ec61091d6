// y[r][c] = x[r][c] + b[c], x of [rows, cols], b of [cols]. Equal shapes are one row.
// Shape: see elementwise.h. Float arithmetic. Reference: ops_ref/""add.go. Launched by add.go.
#include "elementwise.h"

BROADCAST(add, v + w)
