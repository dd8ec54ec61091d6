// Package apertus is the architecture of Apertus: Llama's graph with each head of q and k normalized, rotary pairs half
// a head apart, and a feed-forward network without a gate whose activation, xIELU, has parameters in each layer.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "apertus"), whose lists xielu.alpha_p,
// xielu.alpha_n and xielu.beta hold the parameters as they were trained: the factors are softplus(alpha_p) and
// beta + softplus(alpha_n). xielu.eps, a bound of -1e-6 on where the exponential ends, is taken for zero.
// rope_freqs.weight, where present, holds the factors of Llama 3's scaling. Defaults are those of package nn's Read
// functions.
package apertus
