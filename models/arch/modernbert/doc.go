// Package modernbert is the architecture of ModernBERT: an encoder with norms in front of both halves of a block, but for
// the attention of the first, rotation, a gated feed-forward network, and layers that see a window of tokens around each
// between others that see all.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "modern-bert"). Defaults: every third layer from
// the first on sees all; hidden_activation "gelu", x·Φ(x), the other being "silu"; rope.freq_base_swa 10,000; others are
// those of package nn's Read functions.
package modernbert
