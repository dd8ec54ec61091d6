// Package hunyuan is the architecture of Hunyuan's dense models: Llama's graph with each head of q and k normalized
// after the rotation, whose pairs lie half a head apart.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "hunyuan-dense"); the base of the rotation
// holds what checkpoints call alpha. Defaults are those of package nn's Read functions.
package hunyuan
