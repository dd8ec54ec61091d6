// Package fuse rewrites recorded graphs: where several nodes are together what one fused op expands to, that op takes
// their place. Patterns are expansions read backwards, so that a fused op needs nothing but its declaration:
// [ops.Def.Expand] says what it stands for, and its cases which shapes of graph that can be.
//
// It knows no device. Devices call [Rewrite] with the fused ops for which they have kernels that pay, see [ops.Caps],
// before [ops.Lower].
package fuse
