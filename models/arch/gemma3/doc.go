// Package gemma3 is the architecture of Gemma 3: that of Gemma 2 with normalized queries and keys in place of bounded
// scores. Five of six layers see a sliding window, with a rotary base of their own and no scaling.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "gemma3"), whose norm weights include the
// one that checkpoints leave out, those of Ollama, and the transformers library's gemma3 modelling file. Defaults for
// missing keys: attention.layer_norm_rms_epsilon 1e-6, rope.freq_base 1e6 and rope.freq_base_swa 1e4 (Ollama:
// rope.global.freq_base and rope.local.freq_base); attention.scale 1/√(head dimension), in the 27B model (62 layers)
// 1/√(n_embd/heads); others are those of package nn's Read functions.
package gemma3
