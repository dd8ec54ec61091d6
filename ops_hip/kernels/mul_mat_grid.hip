// Integer dot products with weights of the IQ1, IQ2 and IQ3 types, of one token: x as 24-bit codes (mul_mat_dot.h). A block
// first makes the points of the type's grid in LDS, from which its lanes gather them (grid_lanes.h); a wave makes four rows.
//
//   mul_mat_<q>_dot1          y[o] = Σ_i x[i]·w[o][i] for each of up to four weights w [n, k] (outputs.h). Grid Σ⌈n/16⌉.
//   mul_mat_experts_<q>_dot   y[p][o] = Σ_i x[x row of p][i]·w[ids[p]][o][i] for pairs p, as in mul_mat_experts.h. Grid
//                             (rows, ⌈n/16⌉, per).
//
// Blocks of 128. LDS up to 10,240 bytes. Numerics: as in mul_mat_dot.h. Reference: ops_ref/mul_mat.go, ops_ref/experts.go.
// Launched by mul_mat.go, mul_mat_experts.go.
#include "grid_lanes.h"
#include "outputs.h"

enum { grid_wave_rows = 4, grid_block_rows = 16 };

// mul_mat_grid makes the block's rows of w [n, k].
template <class Q> DEV void mul_mat_grid(const x24& x, const u8* w, float* y, int n, int block) {
  grid_lanes<Q>::fill();
  barrier();
  const int o = block * grid_block_rows + grid_wave_rows * uniform(wave());
  if (o >= n) return;
  const i64 pitch = weight_row<Q>::bytes(x.k);
  float acc[grid_wave_rows];
  grid_rows<Q>(x, w + o * pitch, pitch, n - o, acc);
  UNROLL for (int a = 0; a < grid_wave_rows; a++)
    if (lane() == a && o + a < n) y[o + a] = acc[a];
}

#define TYPES_IQ
#define TYPE(q, name, elements, size)
#define TYPE_GRID(q, name, elements, size)                                                                                 \
  KERNEL(grid_threads) mul_mat_##q##_dot1(const i8* RESTRICT codes, const float* RESTRICT ds, OUTPUTS, int m, int k) {     \
    output o = OUTPUT(grid_block_rows);                                                                                    \
    mul_mat_grid<q>((x24){codes, ds, m, k}, o.w, o.y, o.n, o.block);                                                       \
  }                                                                                                                        \
  KERNEL(grid_threads) mul_mat_experts_##q##_dot(const i8* RESTRICT codes, const float* RESTRICT ds, const u8* RESTRICT w, \
                                                 const int* RESTRICT ids, float* RESTRICT y, int rows, int n, int k, int per) {\
    const int p = block_x() * per + block_z();                                                                             \
    const i64 at = (i64)ids[p] * n * weight_row<q>::bytes(k);                                                              \
    mul_mat_grid<q>(x24::token((x24){codes, ds, rows, k}, block_x()), w + at, y + (i64)p * n, n, block_y());               \
  }
#include "types.def"
