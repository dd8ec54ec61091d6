// Package index reads the operands that say which rows an op works on: pages of caches, states of sequences, experts.
package index
