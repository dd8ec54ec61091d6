// Package eval measures what a model makes of a text: [Perplexity], the [Compare] of two models, and the activations
// that an importance matrix is made of ([Collector]).
//
// A text is cut into chunks of equal length ([Chunks]), each of which a model reads from an empty context. Only the
// predictions of the second half of a chunk count, so that each of them has at least half a chunk of context: the
// definition of llama.cpp's perplexity tool (tools/perplexity of ggml-org/llama.cpp).
package eval
