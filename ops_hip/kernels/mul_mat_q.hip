// mul_mat for weights of the types with blocks of 32 to 128 and the ternary ones: see mul_mat.h.
#define TYPES_Q
#include "mul_mat.h"
