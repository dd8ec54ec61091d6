// Package tokenizer turns text into token ids and back: byte-level BPE, SentencePiece-style BPE with scores,
// and BPE on raw UTF-8 with byte fallback.
//
// A [Vocab] is a plain description of a tokenizer. A GGUF loader fills it from the tokenizer.ggml.* keys,
// [FromHF] from a tokenizer.json; [New] checks it and builds the immutable [Tokenizer], which any number of
// goroutines may use.
//
// Encoding runs in these steps:
//
//  1. the text is cut at special tokens (special.go); control tokens match only with Options.ParseSpecial;
//  2. each remaining fragment is normalised (normalize.go): NFC, spaces replaced by U+2581 and the like;
//  3. each fragment is split into words by the pre-tokenizer (split.go, pre_*.go);
//  4. each word is encoded by the model (bytelevel.go and bpe.go, raw.go, spm.go);
//  5. with Options.AddSpecial, BOS and EOS are put round the result.
//
// Security: text from users must be encoded without ParseSpecial. No model step ever forms a control token
// from text, so that a user who writes "<|im_end|>" gets its characters, not the end of the turn. A chat
// layer that renders a conversation to one string cannot make that distinction any more; it has to encode
// the template's own literals and the users' content separately and concatenate the ids.
//
// Decoding never emits broken UTF-8: a [Stream] holds back an incomplete tail, and bytes that can never be
// completed become U+FFFD, one for each maximal subpart, as the Unicode Standard (section 3.9) recommends.
package tokenizer
