package models_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// broken is a source that fails to read one tensor.
type broken struct {
	models.Source
	name string
	err  error
}

func (b broken) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	if t.Name == b.name {
		return b.err
	}
	return b.Source.ReadTensor(t, p, off)
}

// TestLoadIntoHostMemory loads into a device that lets its memory be filled directly.
func TestLoadIntoHostMemory(t *testing.T) {
	m, err := models.New(tiny.Meta("qwen35moe"))
	if err != nil {
		t.Fatal(err)
	}
	src := tiny.Weights(m, tensor.F32, 1)
	dev := opsref.New(opsref.Options{Threads: 1})
	defer dev.Close()

	var last int64
	w, err := models.LoadWeights(t.Context(), m, src, dev, func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress of %d of %d bytes after %d", done, total, last)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != w.Bytes() {
		t.Errorf("progress ended at %d of %d bytes", last, w.Bytes())
	}
	if err := w.Free(); err != nil {
		t.Error(err)
	}

	bad := errors.New("the disk is gone")
	if _, err := models.LoadWeights(t.Context(), m, broken{src, "output_norm.weight", bad}, dev, nil); !errors.Is(err,
		bad) || !strings.Contains(err.Error(), "output_norm.weight") {
		t.Errorf("a broken source gives %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := models.LoadWeights(ctx, m, src, dev, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled load gives %v", err)
	}
}
