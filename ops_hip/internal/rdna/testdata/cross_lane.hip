#include "emu.h"
#if GFX12
#define WAIT "s_wait_dscnt 0"
#else
#define WAIT "s_waitcnt lgkmcnt(0)"
#endif
#define OP(i, text) { int r = v; __asm__ volatile(text : "+v"(r) : "s"(lo), "s"(hi), "v"(addr)); y[32 * (i) + l] = r; }
// the same with odd lanes inactive; they hold x as well and give -1
#define EVEN(i, text) { int r = v; __asm__ volatile("" : "+v"(r)); int res = -1; \
  if (!(l & 1)) { __asm__ volatile(text : "+v"(r) : "s"(lo), "s"(hi), "v"(addr)); res = r; } y[32 * (i) + l] = res; }
// destination equals source throughout: an executor that writes lanes while it
// still reads others gets these wrong
KERNEL(32) cross(const int *__restrict x, int *__restrict y) {
  int l = item(), v = x[l], lo = 0x76543210, hi = 0xfedcba98, addr = (l * 5 + 3 & 31) << 2;
  OP(0, "v_mov_b32_dpp %0, %0 row_ror:1 row_mask:0xf bank_mask:0xf")
  OP(1, "v_permlanex16_b32 %0, %0, %1, %2")
  OP(2, "ds_bpermute_b32 %0, %3, %0\n" WAIT)
  OP(3, "v_permlane16_b32 %0, %0, %2, %1")
  OP(4, "ds_permute_b32 %0, %3, %0\n" WAIT)
  OP(5, "v_mov_b32_dpp %0, %0 row_share:5 row_mask:0xf bank_mask:0xf")
  OP(6, "v_mov_b32_dpp %0, %0 row_xmask:6 row_mask:0xf bank_mask:0xf")
  OP(7, "v_mov_b32_dpp %0, %0 quad_perm:[3,0,2,1] row_mask:0xf bank_mask:0xf")
  OP(8, "v_mov_b32_dpp %0, %0 row_mirror row_mask:0xf bank_mask:0xf")
  OP(9, "v_mov_b32_dpp %0, %0 row_half_mirror row_mask:0xf bank_mask:0xf")
  OP(10, "v_mov_b32_dpp %0, %0 row_shl:3 row_mask:0xf bank_mask:0xf bound_ctrl:1")
  OP(11, "v_mov_b32_dpp %0, %0 row_shr:3 row_mask:0xf bank_mask:0xf")
  OP(12, "v_mov_b32_dpp %0, %0 row_ror:2 row_mask:0x2 bank_mask:0x5")
  OP(13, "v_mov_b32_dpp %0, %0 dpp8:[7,6,5,4,3,2,1,0]")
  OP(14, "v_add_nc_u32_e64_dpp %0, %0, %0 row_ror:4 row_mask:0xf bank_mask:0xf")
  OP(15, "ds_swizzle_b32 %0, %0 offset:swizzle(BITMASK_PERM,\"01pip\")\n" WAIT)
  OP(16, "ds_swizzle_b32 %0, %0 offset:swizzle(QUAD_PERM,2,3,0,1)\n" WAIT)
  // half of the lanes inactive: what inactive lanes hold must not be read, unless FI says so
  EVEN(17, "v_add_nc_u32_dpp %0, %0, %0 row_shr:1 row_mask:0xf bank_mask:0xf")
  EVEN(18, "v_add_nc_u32_dpp %0, %0, %0 row_shr:1 row_mask:0xf bank_mask:0xf bound_ctrl:1")
  EVEN(19, "v_add_nc_u32_dpp %0, %0, %0 row_ror:1 row_mask:0xf bank_mask:0xf fi:1")
  EVEN(20, "v_mov_b32_dpp %0, %0 dpp8:[1,0,3,2,5,4,7,6]")
  EVEN(21, "v_mov_b32_dpp %0, %0 dpp8:[1,0,3,2,5,4,7,6] fi:1")
  EVEN(22, "ds_bpermute_b32 %0, %3, %0\n" WAIT)
  EVEN(23, "ds_swizzle_b32 %0, %0 offset:swizzle(SWAP,1)\n" WAIT)
}
