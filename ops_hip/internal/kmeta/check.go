package kmeta

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/internal/codeobj"
)

// Limits that every kernel must keep, so that it runs unchanged on all targets and all runtimes.
const (
	Wave   = 32       // lanes of a wave
	MaxLDS = 64 << 10 // bytes per block; the hard limit of RDNA
)

// Read reads the metadata of a code object or PTX file and checks it.
func Read(image []byte) (*codeobj.Metadata, error) {
	m, err := codeobj.ReadMetadata(image)
	if err != nil {
		return nil, err
	}
	if err := Check(m); err != nil {
		return nil, err
	}
	return m, nil
}

// Check reports every kernel of m that breaks a rule: waves of 32 lanes, no hidden arguments, no scratch memory,
// no dynamic stack, no spilled registers, at most 64 KiB of LDS.
func Check(m *codeobj.Metadata) error {
	var errs []error
	for _, k := range m.Kernels {
		if err := check(k); err != nil {
			errs = append(errs, fmt.Errorf("kmeta: %s: kernel %s: %w", m.Target, k.Name, err))
		}
	}
	return errors.Join(errs...)
}

func check(k codeobj.Kernel) error {
	if k.Wave != Wave {
		return fmt.Errorf("waves of %d lanes, want %d", k.Wave, Wave)
	}
	for _, a := range k.Args {
		if a.Hidden() {
			return fmt.Errorf("hidden argument %s: use compile-time block sizes", a.Kind)
		}
	}
	if k.DynamicStack {
		return errors.New("dynamic stack")
	}
	if k.VGPRSpills > 0 || k.SGPRSpills > 0 {
		return fmt.Errorf("%d VGPRs and %d SGPRs spilled", k.VGPRSpills, k.SGPRSpills)
	}
	if k.Scratch > 0 {
		return fmt.Errorf("%d bytes of scratch memory per thread", k.Scratch)
	}
	if k.LDS > MaxLDS {
		return fmt.Errorf("%d bytes of LDS, at most %d", k.LDS, MaxLDS)
	}
	return nil
}
