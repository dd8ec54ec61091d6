// Command pack writes the file of the built-in model anew. It is run at the root of the repository with the folder
// that holds the model as it was trained: a checkpoint, its quantized file, and below mtp the layer that predicts
// further tokens, which was trained later. The file gets the layer as the checkpoint with it converts to the same
// type; everything else stays as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/models/convert"
)

const out = "internal/ember/ember-Q8_0.gguf"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(from string) (err error) {
	tmp, err := os.MkdirTemp("", "ember")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	dir, whole := filepath.Join(tmp, "ember"), filepath.Join(tmp, "ember.gguf")
	if err := checkpoint(from, dir); err != nil {
		return err
	}
	typ, err := convert.ParseFType("q8_0")
	if err != nil {
		return err
	}
	if err := convert.Convert(context.Background(), dir, whole, convert.Options{Type: typ}); err != nil {
		return err
	}
	return join(filepath.Join(from, "ember-Q8_0.gguf"), whole, out)
}

// checkpoint writes the checkpoint of the model and of the layer as one folder.
func checkpoint(from, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	config := map[string]any{}
	layer := map[string]any{}
	for path, v := range map[string]*map[string]any{"config.json": &config, "mtp/mtp.json": &layer} {
		b, err := os.ReadFile(filepath.Join(from, path))
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			return err
		}
	}
	keys, ok := layer["config_keys_to_add"].(map[string]any)
	if !ok {
		return errors.New("mtp.json has no config_keys_to_add")
	}
	maps.Copy(config, keys)
	b, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o644); err != nil {
		return err
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	all := map[string]safetensors.Tensor{}
	for _, path := range []string{"model.safetensors", "mtp/mtp.safetensors"} {
		b, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		tensors, err := safetensors.Decode(b)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		maps.Copy(all, tensors)
	}
	if b, err = safetensors.Encode(all); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model.safetensors"), b, 0o644)
}

// join writes the file base with the tensors that whole has beside its.
func join(base, whole, out string) error {
	f, err := gguf.Open(base)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := gguf.Open(whole)
	if err != nil {
		return err
	}
	defer g.Close()
	meta := f.Meta.Clone()
	for _, key := range []string{"qwen35.block_count", "qwen35.nextn_predict_layers"} {
		v, ok := g.Meta.Value(key)
		if !ok {
			return fmt.Errorf("%s has no %s", whole, key)
		}
		if err := meta.Set(key, v); err != nil {
			return err
		}
	}
	files := map[string]*gguf.File{}
	tensors := f.Tensors
	for _, t := range tensors {
		files[t.Name] = f
	}
	for _, t := range g.Tensors {
		if files[t.Name] == nil && strings.HasPrefix(t.Name, "blk.8.") {
			files[t.Name], tensors = g, append(tensors, t)
		}
	}
	w, err := gguf.Create(out, meta, tensors, gguf.WriterOptions{})
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, t := range w.Tensors() {
		from, _ := files[t.Name].Tensor(t.Name)
		if err := w.CopyTensor(t.Name, files[t.Name].Reader(from)); err != nil {
			return err
		}
	}
	return w.Close()
}
