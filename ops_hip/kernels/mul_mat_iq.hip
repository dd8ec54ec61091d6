// mul_mat for weights of the IQ types: see mul_mat.h.
#define TYPES_IQ
#include "mul_mat.h"
