package hipengine

import (
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all" // every architecture
	"github.com/hipengine/hipengine/ops_hip/codeobj"
	_ "github.com/hipengine/hipengine/ops_hip/codeobj/all" // the kernels of every shipped GPU
	"github.com/hipengine/hipengine/tensor"
)

// Architectures returns the names of the architectures that are linked in, sorted, as GGUF spells them.
func Architectures() []string { return models.Architectures() }

// Targets returns the instruction sets of GPUs that kernels are linked in for, sorted: gfx1100, sm_90, ...
func Targets() []string { return codeobj.Targets() }

// WeightTypes returns the names of the types that weights may have.
func WeightTypes() []string {
	var names []string
	for _, f := range tensor.Formats() {
		if f.Dequant != nil {
			names = append(names, f.Name)
		}
	}
	return names
}
