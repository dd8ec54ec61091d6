// Package qwen3 is the architecture of Qwen 3, dense ("qwen3") and mixture of experts ("qwen3moe"): each head of q
// and k is normalized before the rotation. The router takes the softmax over all experts and makes the weights of
// the chosen ones sum to one; every layer of a qwen3moe model is sparse. Of Qwen 3 VL ("qwen3vl", "qwen3vlmoe") these
// are the language models: the three coordinates that sections of the rotation turn by are equal for text.
//
// Source: the GGUF files that llama.cpp's converter writes. Defaults are those of package nn's Read functions.
package qwen3
