// Package relu2 is an activation that hipengine does not have, the square of the rectifier (So et al. 2021,
// arXiv 2109.08668): an op, its gated form as a fused op, reference kernels and kernels for the GPU.
package relu2
