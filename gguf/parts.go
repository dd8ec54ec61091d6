package gguf

import (
	"fmt"
	"io"
)

// PartReader is where a part of a model is read from.
type PartReader struct {
	Name string // for messages
	R    io.ReaderAt
	Size int64 // bytes
}

// NewParts is [New] for a model in any number of parts, in their order, for example on another machine.
func NewParts(parts []PartReader) (*File, error) {
	f := &File{byName: map[string]int{}}
	var first split
	for i, p := range parts {
		if p.Size < 0 {
			return nil, fmt.Errorf("gguf: %s: negative size %d", p.Name, p.Size)
		}
		h, err := f.add(&source{r: p.R, path: p.Name, size: p.Size})
		if err != nil {
			return nil, err
		}
		sp, err := splitOf(&h.meta)
		if i == 0 {
			first = sp
		}
		if err == nil && (max(sp.count, 1) != len(parts) || sp.no != i) {
			err = fmt.Errorf("it is part %d of %d, in place of part %d of %d", sp.no+1, max(sp.count, 1), i+1,
				len(parts))
		}
		if err != nil {
			return nil, &FormatError{Path: p.Name, Offset: -1, Err: err}
		}
	}
	if n := uint64(len(f.Tensors)); len(parts) > 1 && n != first.tensors {
		return nil, &FormatError{Path: parts[0].Name, Offset: -1,
			Err: fmt.Errorf("all parts together have %d tensors, %s says %d", n, keySplitTensors, first.tensors)}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("gguf: a model of no parts")
	}
	return f, nil
}
