// Package llama is the architecture of Llama 1 to 3 and of what shares its graph: Mistral, Mixtral and many others.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "llama"), whose rows of attn_q and attn_k
// are permuted so that rotary pairs are interleaved. Mixtral's files have expert_count: softmax over all experts,
// weights of the chosen ones made to sum to one; feed_forward_length is an expert's width. rope_freqs.weight, where
// present, holds the factors of Llama 3's scaling.
// Projections may have biases. Layers see attention.sliding_window tokens where attention.sliding_window_pattern says
// so, as in Ministral, whose files by this module have both. Defaults are those of package nn's Read functions.
package llama
