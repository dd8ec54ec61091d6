package hipengine

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/tensor"
)

// headValue is element i of a tensor of a head, of no order that a mistake could keep.
func headValue(name string, i int) float32 {
	x := float32((i*37+len(name)*101)%257-128) / 1024
	if name == "head.norm.weight" {
		x += 1
	}
	return x
}

// headTensor is a tensor of a head: its values are factor times those of headValue.
func headTensor(name string, factor float32, shape ...int) safetensors.Tensor {
	var data []byte
	for i := range tensor.Shape(shape).Elems() {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(factor*headValue(name, i)))
	}
	return safetensors.Tensor{DType: "F32", Shape: shape, Data: data}
}

// editFolder writes a folder with the files of a fixture. Its config.json is as edit leaves it, its tensors are those
// that edit returns.
func editFolder(t *testing.T, fixture string, edit func(config map[string]any,
	tensors map[string]safetensors.Tensor) map[string]safetensors.Tensor) string {
	t.Helper()
	from, dir := testfiles.Path(t, fixture), t.TempDir()
	files := map[string][]byte{}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	var config map[string]any
	if err := json.Unmarshal(files["config.json"], &config); err != nil {
		t.Fatal(err)
	}
	stored, err := safetensors.Decode(files["model.safetensors"])
	if err != nil {
		t.Fatal(err)
	}
	if files["model.safetensors"], err = safetensors.Encode(edit(config, stored)); err != nil {
		t.Fatal(err)
	}
	if files["config.json"], err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
