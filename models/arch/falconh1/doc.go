// Package falconh1 is the architecture of Falcon H1: in each layer, attention and a state-space mixer of Mamba 2 read
// the same input, and their results are added.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "falcon-h1"), in whose weights the model's
// factors are contained. Defaults: no norm in the mixer without ssm_norm; others are those of package nn's Read
// functions.
package falconh1
