// Package granite is the architecture of Granite 3, dense ("granite") and mixture of experts ("granitemoe"): Llama's
// graph with a factor on embeddings, on attention scores, on what each half of a layer adds, and on logits. The
// weights of the chosen experts sum to one; a shared expert, if there is one, is not gated.
//
// Source: the GGUF files that llama.cpp's converter writes, whose rows of attn_q and attn_k are permuted so that
// rotary pairs are interleaved. Logits are divided by logit_scale. Defaults: all factors 1, but attention.scale
// 1/√(head dimension); others are those of package nn's Read functions.
package granite
