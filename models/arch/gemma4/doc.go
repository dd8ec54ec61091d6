// Package gemma4 is the architecture of Gemma 4: norms before and after each half of a layer, GELU, embeddings times
// √n_embd, normalized queries, keys and values, dot products without a scale, and a factor on each layer's result.
// Layers with a sliding window and layers without have heads of different sizes and rotary tables of their own. Some
// models have inputs for each layer (E2B, E4B), whose last layers read the keys and values of earlier ones; some
// have experts beside the dense network (26B); some take the values from the keys in layers without a window.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "gemma4") and the transformers library's
// gemma4 modelling file. rope_freqs.weight holds the factors of layers without a window. Defaults for missing keys: no
// inputs for each layer, no shared keys and values, no experts, no bound on logits, rope.freq_base_swa 1e4; the sizes
// of heads with a window are those of the others; others are those of package nn's Read functions.
package gemma4
