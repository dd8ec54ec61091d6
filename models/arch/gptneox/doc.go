// Package gptneox is the architecture of GPT-NeoX, Pythia and their kin: layer normalization, biases everywhere, rotation
// of a part of each head, and a feed-forward network without a gate that in most models stands beside the attention.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "gptneox"), which leave out the activation.
// Defaults: use_parallel_residual true; hidden_activation "gelu", x·Φ(x), others being "gelu_new", "gelu_fast" and
// "gelu_pytorch_tanh", all of which are the form with a hyperbolic tangent; others are those of package nn's Read
// functions.
package gptneox
