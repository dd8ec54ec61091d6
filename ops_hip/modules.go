package opship

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
)

// module is a loaded code object.
type module struct {
	handle hiprt.Module
	image  []byte // runtimes may refer to it
	meta   *codeobj.Metadata
	funcs  map[string]hiprt.Func
}

// module returns a code object, loaded and checked on first use. It runs in the device's turn.
func (d *Device) module(object string) (*module, error) {
	if m := d.modules[object]; m != nil {
		return m, nil
	}
	image, err := d.set.Read(object)
	if err != nil {
		return nil, err
	}
	meta, err := kmeta.Read(image)
	if err != nil {
		return nil, fmt.Errorf("code object %s: %w", object, err)
	}
	h, err := d.rt.LoadModule(image)
	if err != nil {
		return nil, fmt.Errorf("code object %s: %w", object, err)
	}
	m := &module{h, image, meta, map[string]hiprt.Func{}}
	d.modules[object] = m
	return m, nil
}

// function returns the kernel that a launch names. It runs in the device's turn.
func (d *Device) function(l *Launch) (hiprt.Func, error) {
	m, err := d.module(l.Object)
	if err != nil {
		return 0, err
	}
	if err := checkLaunch(l, m.meta); err != nil {
		return 0, err
	}
	if f, ok := m.funcs[l.Symbol]; ok {
		return f, nil
	}
	f, err := d.rt.Function(m.handle, l.Symbol)
	if err != nil {
		return 0, fmt.Errorf("code object %s: kernel %s: %w", l.Object, l.Symbol, err)
	}
	m.funcs[l.Symbol] = f
	return f, nil
}

// Limits of a launch that hold on every runtime.
const (
	maxGridX   = 1<<31 - 1
	maxGridYZ  = 1<<16 - 1
	maxThreads = 1<<32 - 1 // of a whole grid, per dimension; AMD counts them in 32 bits
	maxArgs    = 4 << 10   // bytes
)

// checkLaunch compares a launch with what its code object says: the kernel exists, its parameters lie where the
// argument block has them, and it was compiled for the block size.
func checkLaunch(l *Launch, o *codeobj.Metadata) error {
	k, ok := o.Kernel(l.Symbol)
	if !ok {
		return fmt.Errorf("code object %s has no kernel %s", l.Object, l.Symbol)
	}
	args := l.Args.Layout()
	same := slices.EqualFunc(args, k.Args, func(a Field, p codeobj.Arg) bool {
		return a.Offset == p.Offset && a.Size == p.Size && (o.PTX || a.Pointer == p.Pointer())
	})
	if !same {
		return fmt.Errorf("kernel %s takes arguments %+v, the launch has %+v", l.Symbol, k.Args, args)
	}
	if l.Args.Size() > maxArgs {
		return fmt.Errorf("kernel %s: %d bytes of arguments, at most %d", l.Symbol, l.Args.Size(), maxArgs)
	}
	threads := 1
	for i, b := range l.Block {
		g, b := max(1, uint64(l.Grid[i])), max(1, uint64(b))
		limit := uint64(maxGridYZ)
		if i == 0 {
			limit = maxGridX
		}
		if g > limit || b > 1024 || g*b > maxThreads {
			return fmt.Errorf("kernel %s: grid %v of blocks %v is too large in dimension %d", l.Symbol, l.Grid,
				l.Block, i)
		}
		threads *= int(b)
	}
	if threads > k.MaxThreads {
		return fmt.Errorf("kernel %s is compiled for blocks of up to %d threads, the launch has %d", l.Symbol,
			k.MaxThreads, threads)
	}
	return nil
}
