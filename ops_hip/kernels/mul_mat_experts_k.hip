// mul_mat_experts for weights of the K types: see mul_mat_experts.h.
#define TYPES_K
#include "mul_mat_experts.h"
