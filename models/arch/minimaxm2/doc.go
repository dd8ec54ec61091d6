// Package minimaxm2 is the architecture of MiniMax M2: a mixture of experts in every layer, queries and keys that are
// normalized over all heads together, and rotation of a part of each head. Routers take the sigmoid of each expert,
// choose with a bias, and make the weights of the chosen ones sum to one.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "minimax-m2"). Defaults: sigmoid without
// expert_gating_func; others are those of package nn's Read functions.
package minimaxm2
