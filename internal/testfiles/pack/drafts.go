package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/internal/safetensors"
)

// draftRows are the entries after which drafts are compared, counted from the second token of a sequence.
var draftRows = []int{0, 1, 4, 15, 29, 30, 31, 44}

// emberDrafts packs Ember's layer that predicts further tokens as a folder in which the model itself is one layer of
// zeros, since the reference has the hidden states that the layer reads; and of the reference some rows of logits, at
// the depths one to three, for each of two sequences.
func emberDrafts(dir string) error {
	read := func(path string) (map[string]safetensors.Tensor, error) {
		b, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return nil, err
		}
		return safetensors.Decode(b)
	}
	base, err := read("model.safetensors")
	if err != nil {
		return err
	}
	layer, err := read("mtp/mtp.safetensors")
	if err != nil {
		return err
	}
	reference, err := read("mtp/mtp_reference.safetensors")
	if err != nil {
		return err
	}
	const embed, norm = "model.embed_tokens.weight", "model.norm.weight"
	model := map[string]safetensors.Tensor{embed: base[embed], norm: base[norm]}
	for name, t := range layer {
		if rest, ok := strings.CutPrefix(name, "mtp.layers."); ok {
			model["model.layers."+rest] = safetensors.Tensor{DType: t.DType, Shape: t.Shape, Data: make([]byte, len(t.Data))}
		}
	}
	maps.Copy(model, layer)

	kept := map[string]safetensors.Tensor{}
	for i := range 2 {
		for _, name := range []string{"ids", "hidden", "next", "draft", "draft_logits"} {
			name = fmt.Sprintf("%s_%d", name, i)
			kept[name] = reference[name]
		}
		for depth := 1; depth <= 3; depth++ {
			name := fmt.Sprintf("mtp%d_%d", depth, i)
			t := reference[name]
			row := len(t.Data) / t.Shape[0]
			rows := safetensors.Tensor{DType: t.DType, Shape: []int{len(draftRows), t.Shape[1]}}
			for _, r := range draftRows {
				rows.Data = append(rows.Data, t.Data[r*row:(r+1)*row]...)
			}
			kept[name] = rows
		}
	}
	config := map[string]any{}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	if err != nil {
		return err
	}
	maps.Copy(config, map[string]any{"num_hidden_layers": 1, "layer_types": []string{"full_attention"},
		"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": false, "rows": draftRows})
	files := map[string][]byte{}
	if files["tokenizer.json"], err = os.ReadFile(filepath.Join(dir, "tokenizer.json")); err != nil {
		return err
	}
	if files["config.json"], err = json.Marshal(config); err != nil {
		return err
	}
	if files["model.safetensors"], err = safetensors.Encode(model); err != nil {
		return err
	}
	if files["reference.safetensors"], err = safetensors.Encode(kept); err != nil {
		return err
	}
	return write("ember/mtp", files)
}
