// Package arcee is the architecture of Arcee's AFM: Llama's graph with a feed-forward network that has no gate, but the
// square of what is positive.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "arcee"), whose rows of attn_q and attn_k are
// permuted so that rotary pairs are interleaved. Defaults are those of package nn's Read functions.
package arcee
