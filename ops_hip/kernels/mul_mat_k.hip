// mul_mat for weights of the K types: see mul_mat.h.
#define TYPES_K
#include "mul_mat.h"
