// mul_mat for weights of F32, F16, BF16 and F64: see mul_mat.h.
#define TYPES_FLOAT
#include "mul_mat.h"
MMA128(f16)
MMA128(bf16)
