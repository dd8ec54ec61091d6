package chat

import (
	"encoding/json"
	"testing"
)

// TestForms renders a conversation in every form.
func TestForms(t *testing.T) {
	want := map[string]string{
		"chatml": "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n" +
			"<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
		"alpaca": "S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n### Instruction:\nV\n\n### Response:\n",
		"command-r": "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|>" +
			"<|START_OF_TURN_TOKEN|><|USER_TOKEN|>U<|END_OF_TURN_TOKEN|>" +
			"<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>A<|END_OF_TURN_TOKEN|>" +
			"<|START_OF_TURN_TOKEN|><|USER_TOKEN|>V<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
		"deepseek": "<s>S<｜User｜>U<｜Assistant｜>A<｜end▁of▁sentence｜><｜User｜>V<｜Assistant｜>",
		"gemma": "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n" +
			"<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n",
		"llama2": "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]",
		"llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>" +
			"<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>" +
			"<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>" +
			"<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"mistral": "<s>[INST] S\n\nU [/INST] A</s>[INST] V [/INST]",
		"phi3":    "<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n<|assistant|>\n",
		"vicuna":  "S\n\nUSER: U\nASSISTANT: A</s>\nUSER: V\nASSISTANT:",
		"zephyr":  "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n<|assistant|>\n",
	}
	messages := json.RawMessage(`[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"U"}]},
		{"role":"assistant","content":"A"},{"role":"user","content":"V"}]`)
	for name, source := range Forms {
		tmpl, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := tmpl.Render(Input{Messages: messages, AddGenerationPrompt: true, BOS: "<s>", EOS: "</s>"})
		if err != nil || got.String() != want[name] {
			t.Errorf("%s: %v\ngot  %q\nwant %q", name, err, got, want[name])
		}
		for _, piece := range got {
			if data := len(piece.Text) == 1 && piece.Text >= "A" && piece.Text <= "Z"; piece.Plain != data {
				t.Errorf("%s: piece %q, plain %v", name, piece.Text, piece.Plain)
			}
		}
	}
}
