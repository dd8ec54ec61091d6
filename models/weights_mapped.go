package models

import (
	"fmt"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
)

// MappedSource is a source whose tensors are bytes of the process too, such as those of a file that is mapped into its
// memory. Devices that can use them there (ops.Caps.Adopt) get no copy of matrices, which take no memory then but what
// the system keeps of the file. The source has to outlive the weights.
type MappedSource struct {
	Source
	Map func(t gguf.TensorInfo) ([]byte, error)
}

// mappable reports whether r can be used on a device where the source has it.
func (r *resolved) mappable(src Source, on ops.Device) bool {
	_, ok := src.(MappedSource)
	return ok && on.Caps().Adopt != nil && r.spec.Derive == nil && r.t.DType == r.dtype && len(r.t.Shape) > 1 &&
		len(r.from) == 1 && r.from[0].size == r.stored
}

// adopt adds the weights of h that lie where the source has them.
func (w *Weights) adopt(h *home, src Source) error {
	for _, r := range h.mapped {
		x := r.from[0]
		b, err := src.(MappedSource).Map(x.info)
		if err == nil && int64(len(b)) < x.off+x.size {
			err = fmt.Errorf("%d bytes of %d", len(b), x.off+x.size)
		}
		if err != nil {
			return fmt.Errorf("models: tensor %q: %w", r.spec.Name, err)
		}
		r.t.Buf = h.dev.Caps().Adopt(b[x.off : x.off+x.size : x.off+x.size])
		w.mapped = append(w.mapped, r.t.Buf)
		w.tensors[r.spec.Name] = r.t
	}
	return nil
}
