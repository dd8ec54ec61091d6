// Package nemotronh is the architecture of Nemotron H: each layer is a state-space mixer of Mamba 2, attention without
// rotation, or a feed-forward network with squared ReLU.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "nemotron_h"). A layer is a feed-forward
// network where feed_forward_length lists its width, attention where attention.head_count_kv lists its heads, and a
// mixer where both list zero. Defaults are those of package nn's Read functions.
package nemotronh
