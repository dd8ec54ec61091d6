// mul_mat_experts for weights of F32, F16, BF16 and F64: see mul_mat_experts.h.
#define TYPES_FLOAT
#include "mul_mat_experts.h"
