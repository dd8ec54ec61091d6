package hf

import (
	"slices"
	"strings"
)

// generationRead are the keys of generation_config.json that readGeneration reads.
var generationRead = strings.Fields("eos_token_id temperature top_p top_k min_p typical_p repetition_penalty do_sample")

// generationIdle are those that change no text: tokens that the tokenizer has, what a program returns beside the text,
// and how it computes.
var generationIdle = strings.Fields("bos_token_id pad_token_id decoder_start_token_id transformers_version " +
	"_from_model_config _commit_hash use_cache cache_implementation cache_config return_legacy_cache " +
	"prefill_chunk_size compile_config disable_compile output_attentions output_hidden_states output_scores " +
	"output_logits return_dict_in_generate is_assistant num_assistant_tokens num_assistant_tokens_schedule " +
	"assistant_confidence_threshold prompt_lookup_num_tokens max_matching_ngram_size")

// noteDropped names the keys of generation_config.json that would change what is written, and are not kept.
func (b *builder) noteDropped(root object) {
	var dropped []string
	for _, key := range sortedKeys(root) {
		if !slices.Contains(generationRead, key) && !slices.Contains(generationIdle, key) && !isOff(key, root[key]) {
			dropped = append(dropped, key)
		}
	}
	if len(dropped) > 0 {
		b.note("generation_config.json: not kept: %s", strings.Join(dropped, ", "))
	}
}

// offAtOne are the keys that do nothing when they are 1.
var offAtOne = strings.Fields("num_beams num_beam_groups num_return_sequences length_penalty " +
	"encoder_repetition_penalty guidance_scale")

// isOff reports whether a key has a value with which it does nothing.
func isOff(key string, v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case object:
		return len(v) == 0
	}
	x, ok := number(v)
	return ok && (x == 0 || x == 1 && slices.Contains(offAtOne, key))
}
