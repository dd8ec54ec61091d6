// Package cohere is the architecture of Cohere's Command R ("command-r") and Command R7B and A ("cohere2"): layer
// normalization without biases, attention and feed-forward network side by side on one norm, tied embeddings, and a
// factor on the logits. Command R7B and A have a sliding window in three of four layers and rotate in those alone.
//
// Source: the GGUF files that llama.cpp's converter writes, whose rotary pairs are interleaved as in checkpoints.
// Command R+ (64 layers), whose queries and keys are normalized, is not known. Defaults: logit_scale 1; others are
// those of package nn's Read functions.
package cohere
