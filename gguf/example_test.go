package gguf_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/tensor"
	_ "github.com/hipengine/hipengine/tensor/quant"
)

// Write a model of one tensor and read it back.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")

	var meta gguf.Meta
	if err := meta.Set("general.architecture", "llama"); err != nil {
		log.Fatal(err)
	}
	w, err := gguf.Create(path, &meta, []gguf.TensorInfo{
		{Name: "output.weight", DType: tensor.F16, Shape: tensor.Shape{2, 3}},
	}, gguf.WriterOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort()
	if err := w.WriteTensor("output.weight", make([]byte, 12)); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	arch, err := f.Meta.String("general.architecture")
	if err != nil {
		log.Fatal(err)
	}
	t := f.Tensors[0]
	fmt.Println(arch, t.Name, t.DType, t.Shape, t.Size)
	// Output: llama output.weight F16 [2 3] 12
}
