package hipengine

import (
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Options say how a model is found and loaded. The zero value takes what the model was made for, for one sequence.
type Options struct {
	// Context is the most tokens that a sequence may hold. 0 takes what the model was made for, at most 8192, since the
	// memory is taken at once.
	Context int

	// Sequences is how many answers are made at the same time, each with its own context; 0 is 1.
	Sequences int

	// KVType is the type of keys and values in the cache: f32, f16, bf16 or q8_0. Empty and auto take f16, but f32 on
	// the reference.
	KVType string

	// Quant quantizes the weights of a Hugging Face folder while they are loaded, to a type that llama.cpp names: q8_0,
	// q4_k_m, ... Empty keeps them. GGUF files have their types already.
	Quant string

	// Imatrix is the file of an importance matrix for Quant; empty is none.
	Imatrix string

	// Folder is where models are found by name; empty is [ModelFolder].
	Folder string

	// Collect prepares the model for [Model.Imatrix]. It then keeps all activations of a step, which takes memory and
	// time.
	Collect bool

	// Progress is told how many bytes of the weights are loaded, first that none are, by one goroutine at a time. Nil
	// is nobody.
	Progress func(done, total int64)
}

// MaxContext bounds Options.Context: nobody needs more, and sizes stay far from overflowing.
const MaxContext = models.MaxContext

// defaultContext bounds the context that is taken without being asked for.
const defaultContext = 8192

// kvType returns the type of keys and values on a device.
func (o Options) kvType(host HostOptions) (tensor.DType, error) {
	if host.Oracle {
		return tensor.F64, nil
	}
	switch strings.ToLower(o.KVType) {
	case "", "auto":
		if host.Device == "ref" {
			return tensor.F32, nil
		}
		return tensor.F16, nil
	}
	var names []string
	for _, dt := range tensor.CacheTypes() {
		name := strings.ToLower(dt.String())
		if name == strings.ToLower(o.KVType) {
			return dt, nil
		}
		names = append(names, name)
	}
	return 0, &OptionError{Option: "KVType", Reason: fmt.Sprintf("%q: want auto, %s", o.KVType, strings.Join(names, ", "))}
}
