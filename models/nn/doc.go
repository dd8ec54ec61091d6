// Package nn holds the blocks that architectures are made of: a [Decoder] is a stack of blocks, each a [Mixer]
// ([Attention], [DeltaNet]) and an [FFN] ([MLP], [MoE]). A block lists its weights and its state and records itself.
// The Read functions get a block's hyper-parameters from GGUF metadata. Weight names are those of GGUF.
//
// An architecture is a function that reads metadata and returns a Decoder, or a model of its own made of these
// blocks.
package nn
