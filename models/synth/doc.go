// Package synth writes models of real shapes with random weights: files on which speed, memory and loading can be
// measured where the real model is not at hand.
//
// Metadata, names, shapes and types of the tensors are those of the real model, by the mixtures of package convert; so
// are sizes, but for the vocabulary's texts. The weights are drawn as codes of their block formats, under scales of
// normal weights, which is as fast as memory is written: matrices keep the size of what they multiply, so that logits
// are finite and differ. The tokenizer is byte-level, with unused tokens up to the size of the real vocabulary.
package synth
