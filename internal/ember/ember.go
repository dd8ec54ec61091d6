package ember

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/gguf"
)

// Name is what users call the model.
const Name = "ember"

// model is a string, so that nothing can write to it and its pages stay backed by the executable file.
//
//go:embed ember-Q8_0.gguf
var model string

// Open returns the built-in model. The program must link package tensor/quant.
func Open() (*gguf.File, error) {
	f, err := gguf.New(strings.NewReader(model), int64(len(model)))
	if err != nil {
		return nil, fmt.Errorf("ember: the built-in model: %w", err)
	}
	return f, nil
}
