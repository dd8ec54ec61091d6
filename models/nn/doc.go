// Package nn holds the blocks that architectures are made of, as functions that record them. Weight names are
// those of GGUF.
package nn
