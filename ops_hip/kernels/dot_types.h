// Numbers of the types with integer dot products, for kernels of several.
#pragma once

// dot_type numbers the types in the order of the list.
enum dot_type {
#define TYPE_DOT(q, name, block, bytes) type_##q,
#define TYPE_DOT1 TYPE_DOT
#include "dot_types.def"
};
