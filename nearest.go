package hipengine

import (
	"errors"
	"os"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/hf"
)

// Likeness says how a model of an unknown architecture differs from the known one that is most like it.
type Likeness = models.Likeness

// Nearest compares the model that name means, a GGUF file or a folder, with all architectures that are known. It
// returns nil if its own is among them. It reads no weights.
func Nearest(name string, o Options) (*Likeness, error) {
	path, err := Locate(name, o.Folder)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		f, err := hf.Open(path)
		if err == nil {
			return nil, f.Close()
		}
		if !errors.As(err, new(*hf.UnknownModelError)) {
			return nil, err
		}
		return hf.Nearest(path)
	}
	g, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	if _, err := models.New(g.Meta); !errors.As(err, new(*models.UnknownArchError)) {
		return nil, nil
	}
	return models.Nearest(g.Meta, g.Tensors), nil
}
