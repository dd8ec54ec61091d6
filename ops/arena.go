package ops

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hipengine/hipengine/tensor"
)

// Arena is the memory of plans of one device that never run at the same time, such as those of one runner: inputs,
// activations, outputs and scratch memory of all of them share it, so that together they take as much as the largest.
// The zero Arena is empty; compiling a larger plan makes it grow. It must outlive its plans.
//
// Growing moves the arena. Plans that were compiled before stay valid: devices bind them to the new place at their
// next run. What inputs and outputs held is lost, as it is whenever another plan of the arena runs.
type Arena struct {
	mu  sync.Mutex
	buf tensor.Buffer
	gen uint64
}

// Grow makes room for a plan of d with the given bytes, by an allocation of kind MemPlans if what there is does not
// suffice. Devices call it from Compile; no plan of the arena may be running. The error is that of Alloc, after which
// the arena is as it was.
func (a *Arena) Grow(d Device, bytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.buf != nil && a.buf.Size() >= bytes {
		return nil
	}
	// The old memory goes first: there may be no room for both.
	old := int64(-1)
	if a.buf != nil {
		old = a.buf.Size()
		err := a.buf.Free()
		a.buf, a.gen = nil, a.gen+1
		if err != nil {
			return fmt.Errorf("ops: arena: %w", err)
		}
	}
	buf, err := d.Alloc(bytes, MemPlans)
	if err != nil {
		if old >= 0 {
			var aerr error
			if a.buf, aerr = d.Alloc(old, MemPlans); aerr != nil {
				a.buf, err = nil, errors.Join(err, aerr)
			}
		}
		return err
	}
	a.buf, a.gen = buf, a.gen+1
	return nil
}

// Buffer returns the memory, nil if there is none, and a number that changes whenever it moves.
func (a *Arena) Buffer() (tensor.Buffer, uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buf, a.gen
}

// Bytes returns the size of the memory.
func (a *Arena) Bytes() int64 {
	if b, _ := a.Buffer(); b != nil {
		return b.Size()
	}
	return 0
}

// Free releases the memory. Plans of the arena must be closed before.
func (a *Arena) Free() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.buf == nil {
		return nil
	}
	err := a.buf.Free()
	a.buf, a.gen = nil, a.gen+1
	return err
}
