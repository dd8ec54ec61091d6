package hf

// Mistral Small 3.1 and 3.2 are Llama's architecture below a vision tower. Ministral 3 has YaRN, and queries that grow
// with the logarithm of their position.

func init() {
	mistral := family{arch: "llama", keys: llamaKeys, tensors: llamaTensors}
	ministral := family{arch: "mistral3", keys: ministralKeys, tensors: llamaTensors}
	register(family{
		models: []string{"Mistral3ForConditionalGeneration"},
		variant: func(c *config) family {
			if c.str("model_type") == "ministral3" {
				return ministral
			}
			return mistral
		},
	})
	ministral.models = []string{"Ministral3ForCausalLM"}
	register(ministral)
}

func ministralKeys(b *builder) {
	llamaKeys(b)
	if r := b.rope("full_attention"); r.has("llama_4_scaling_beta") {
		b.setFloat("attention.temperature_scale", r.positive("llama_4_scaling_beta"))
	}
}
