# GPU targets that ship: one word each. AMD targets become code objects, NVIDIA ones PTX.
KERNEL_TARGETS := gfx1100 gfx1101 gfx1102 gfx1103 gfx1150 gfx1151 gfx1200 gfx1201
KERNEL_TARGETS += sm_80 sm_90
