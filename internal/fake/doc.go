// Package fake holds a deterministic runner and tokenizer for the tests of the server: a "model" whose logits are a
// hash of the tokens so far, over a vocabulary of bytes.
package fake
