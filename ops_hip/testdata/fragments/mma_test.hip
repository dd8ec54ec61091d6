// C = A·Bᵀ of single 16x16 tiles, to check the fragment layouts of mma.h element by element. A: 16 rows of K, B: 16 columns of K, C: [16][16] row-major.
// One block of 32. LDS: the two tiles. Exact for small integers in all types.
#include "../../kernels/mma.h"

KERNEL(32) mma_test_f16(const half* RESTRICT a, const half* RESTRICT b, float* RESTRICT c) {
  LDS half ta[16 * 24], tb[16 * 24];
  for (int i = tid(); i < 256; i += 32) ta[i / 16 * 24 + i % 16] = a[i], tb[i / 16 * 24 + i % 16] = b[i];
  barrier();
  Acc acc = {};
  acc = mma(acc, load_a(ta, 24), load_b(tb, 24));
  UNROLL for (int i = 0; i < 8; i++) c[acc_row(i) * 16 + acc_col(i)] = acc[i];
}

KERNEL(32) mma_test_bf16(const bhalf* RESTRICT a, const bhalf* RESTRICT b, float* RESTRICT c) {
  LDS bhalf ta[16 * 24], tb[16 * 24];
  for (int i = tid(); i < 256; i += 32) ta[i / 16 * 24 + i % 16] = a[i], tb[i / 16 * 24 + i % 16] = b[i];
  barrier();
  Acc acc = {};
  acc = mma(acc, load_a(ta, 24), load_b(tb, 24));
  UNROLL for (int i = 0; i < 8; i++) c[acc_row(i) * 16 + acc_col(i)] = acc[i];
}

KERNEL(32) mma_test_s8(const i8* RESTRICT a, const i8* RESTRICT b, int* RESTRICT c) {
  LDS i8 ta[16 * 48], tb[16 * 48];
  for (int i = tid(); i < 512; i += 32) ta[i / 32 * 48 + i % 32] = a[i], tb[i / 32 * 48 + i % 32] = b[i];
  barrier();
  Acc8 acc = {};
  acc = mma(acc, load_a8(ta, 48), load_b8(tb, 48));
  UNROLL for (int i = 0; i < 8; i++) c[acc_row(i) * 16 + acc_col(i)] = acc[i];
}

// Row reductions: c[0..15] the largest of each row of A·Bᵀ, c[16..31] the sum.
KERNEL(32) mma_test_rows(const half* RESTRICT a, const half* RESTRICT b, float* RESTRICT c) {
  LDS half ta[16 * 24], tb[16 * 24];
  for (int i = tid(); i < 256; i += 32) ta[i / 16 * 24 + i % 16] = a[i], tb[i / 16 * 24 + i % 16] = b[i];
  barrier();
  Acc acc = {};
  acc = mma(acc, load_a(ta, 24), load_b(tb, 24));
  Acc m = acc_row_max(acc), s = acc_row_sum(acc);
  UNROLL for (int i = 0; i < 8; i++)
    if (acc_col(i) == 0) c[acc_row(i)] = m[i], c[16 + acc_row(i)] = s[i];
}
