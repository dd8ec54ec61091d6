// mul_mat_experts for weights of the IQ types: see mul_mat_experts.h.
#define TYPES_IQ
#include "mul_mat_experts.h"
