// The shape of elementwise kernels: one thread an element, blocks of 256, grid ⌈n/256⌉, no LDS. n < 2^31.
#pragma once
#include "math.h"

// UNARY defines kernel name_f32: y[i] = expression of v = x[i].
#define UNARY(name, expression)                                                      \
  KERNEL(256) name##_f32(const float* RESTRICT x, float* RESTRICT y, u32 n) {        \
    u32 i = (u32)block_x() * 256 + tid();                                            \
    if (i >= n) return;                                                              \
    float v = x[i];                                                                  \
    y[i] = expression;                                                               \
  }

// UNARY_PARAM is UNARY with a constant p.
#define UNARY_PARAM(name, expression)                                                \
  KERNEL(256) name##_f32(const float* RESTRICT x, float* RESTRICT y, u32 n, float p) { \
    u32 i = (u32)block_x() * 256 + tid();                                            \
    if (i >= n) return;                                                              \
    float v = x[i];                                                                  \
    y[i] = expression;                                                               \
  }

// GATED defines kernel name_f32: y[i] = expression of g = gate[i] and u = up[i].
#define GATED(name, expression)                                                      \
  KERNEL(256) name##_f32(const float* RESTRICT gate, const float* RESTRICT up, float* RESTRICT y, u32 n) { \
    u32 i = (u32)block_x() * 256 + tid();                                            \
    if (i >= n) return;                                                              \
    float g = gate[i], u = up[i];                                                    \
    y[i] = expression;                                                               \
  }

// BROADCAST defines kernel name_f32: y[r][c] = expression of v = x[r][c] and w = b[c]. The grid is (rows,
// ⌈cols/256⌉).
#define BROADCAST(name, expression)                                                  \
  KERNEL(256) name##_f32(const float* RESTRICT x, const float* RESTRICT b, float* RESTRICT y, u32 cols) { \
    u32 c = (u32)block_y() * 256 + tid();                                            \
    if (c >= cols) return;                                                           \
    u64 i = (u64)block_x() * cols + c;                                               \
    float v = x[i], w = b[c];                                                        \
    y[i] = expression;                                                               \
  }
