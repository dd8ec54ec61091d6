// Package conformance checks that a device computes what the reference computes: op by op, and logits by logits.
// It needs no *testing.T and no GPU backend, so that a command, a test and another project's CI run one suite.
//
//	rep, err := conformance.Run(ctx, dev, conformance.Options{})
//	err = rep.Err() // nil if the device conforms
//
// The layers, in the order in which they run and are worth reading:
//
//	Ops/<op>/<case>      every case of every op: device, float32 reference and float64 oracle on the same bytes
//	Quant/<type>/<use>   every weight type, blocks with hostile scales and codes
//	Graph/<op>/<case>    a fused op against its expansion, both on the device
//	Stream/<op>/<case>   run to run, plan to plan and captured to direct: bit-equal
//	Memory/<op>/<case>   guard bytes, poisoned padding, stale arenas
//	Model/<arch>/<check> a tiny synthetic model of each linked architecture, in steps of every shape; "invariant" demands
//	                     the same bits of all shapes where the device says that it can give them
//	GGUF/<file>          logits of real files
//
// Bounds come from data. A result may be off from the oracle by four times what the reference is off, plus a floor
// derived from the arithmetic that a device may use (see Floor); what may exceed that is in one table (see Exceptions)
// with its reason. Comparisons are written so that NaN fails. All data follows from a seed and the name of the
// check, so that a check gives the same result alone as in a full run.
package conformance
