// Package gptoss is the architecture of gpt-oss: biases everywhere, attention sinks, a sliding window in every other
// layer, and experts with a clamped SwiGLU whose weights are the softmax over the logits of the chosen ones.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "gpt-oss"), those of Ollama ("gptoss"),
// which call the norm in front of the experts ffn_norm, may fuse gate and up with alternating rows and do not name
// the rotary scaling, and the transformers library's gpt_oss modelling file, whose YaRN ramp ends at fractions of a
// pair. Defaults for missing keys: rope.scaling.type yarn, windows in layers 0, 2, 4 and so on; others are those of
// package nn's Read functions.
package gptoss
