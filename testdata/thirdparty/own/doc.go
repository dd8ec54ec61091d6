// Package own is a device of a third party: float32 in plain Go for a few ops. All else that it can do is what the
// expansions of fused ops give; what has no kernel and no expansion is refused.
package own
