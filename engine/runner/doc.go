// Package runner turns a loaded model and a device into steps: one call of Step runs one compiled plan over the
// new tokens of several sequences and returns logits. It owns the sequences' KV pages and recurrent state.
package runner
