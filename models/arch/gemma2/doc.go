// Package gemma2 is the architecture of Gemma 2: norms before and after each half of a layer, GELU, embeddings times
// √n_embd, softly bounded attention scores and logits, and a sliding window in every other layer.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "gemma2"), whose norm weights include the
// one that checkpoints leave out, and the transformers library's gemma2 modelling file. Defaults for missing keys:
// attn_logit_softcapping 50, final_logit_softcapping 30, windows in layers 0, 2, 4 and so on; attention.scale
// 1/√(head dimension), in the 27B model (46 layers) 1/√(n_embd/heads); others are those of package nn's Read
// functions.
package gemma2
