// Package rdna executes code objects of RDNA3, RDNA3.5 and RDNA4 targets on a
// CPU, instruction by instruction, so that the very bytes that a user's card
// would run can be tested without the card.
//
// It is built from codeobj (ELF, descriptors, metadata), decode (instructions),
// mem (the device's address space), exec (execution) and check (optional
// checkers). Results say what the instructions compute. They say nothing about
// speed, and nothing about the precision of hardware units whose rounding is
// not documented; package exec lists those models.
//
// A device, a module and a launch:
//
//	dev := rdna.NewDevice(0)
//	mod, err := dev.Load("gfx1100", codeObject)
//	buf, err := dev.Alloc(1 << 20)
//	stats, err := mod.Launch(ctx, "rms_norm_f32", grid, block, 0, kernarg, rdna.Options{})
//
// Faults of the guest are errors of type *Fault that name kernel, instruction,
// address, workgroup, wave and lane.
package rdna
