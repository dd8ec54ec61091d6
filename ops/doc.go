// Package ops declares operations, records them into graphs and defines what a backend must do.
//
// Model code looks eager, but nothing runs while it records: each builder (RMSNorm, MulMat, ...) adds a node to
// a [Graph]. A [Device] compiles the graph into a [Plan] with fixed addresses, and a [Stream] runs the plan as
// often as wanted. All that changes from step to step (token ids, positions, page tables) is data in device
// buffers, so one recording serves many steps, and no value can be read back in the middle of one.
//
// An op is one file: its [Def] (identity, shape rules, unfused definition, conformance cases) and its typed
// builder. An op with an Expand function is fused: it runs on every device that has the primitives, before
// anybody writes a kernel for it; [Lower] does the expanding and never moves work to another device.
package ops
