//go:build linux && (amd64 || arm64)

package drv_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
)

// TestBootstrapVRAM lets the first kernels begin in device memory, on a card and on an APU.
func TestBootstrapVRAM(t *testing.T) {
	for _, target := range []string{"gfx1100", "gfx1151", "gfx1201"} {
		card := fake.Card(target)
		card.LargeBAR = true
		p, m := process(t, fake.Config{GPUs: []fake.GPU{card}, NoSharedCode: true}, drv.Options{BootstrapVRAM: true})
		d := device(t, p, 0)
		must(t, d.Close())
		for _, v := range m.Violations() {
			t.Errorf("%s: %v", target, v)
		}
	}
}

// TestBootstrapRefused has no way to begin in device memory, or a kernel that does not let registers be mapped: an error
// that says so, and nothing is left.
func TestBootstrapRefused(t *testing.T) {
	large := fake.Card("gfx1100")
	large.LargeBAR = true
	for _, x := range []struct {
		card  fake.GPU
		fault *fake.Fault
		want  string
	}{
		{fake.Card("gfx1100"), nil, "Resizable BAR"},
		{large, &fake.Fault{At: fake.AtMmapRegisters, Err: syscall.EINVAL}, "mmap of the registers that flush: EINVAL"},
	} {
		p, m := process(t, fake.Config{GPUs: []fake.GPU{x.card}, NoSharedCode: true}, drv.Options{BootstrapVRAM: true})
		if x.fault != nil {
			m.Inject(*x.fault)
		}
		gpus, err := p.Devices()
		must(t, err)
		if _, err := p.Open(gpus[0]); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("opening: %v, want %q", err, x.want)
		}
	}
}

// TestFirstKernelsFail has GPUs that cannot run kernels from memory of the host: the error says where else they can
// begin, if they can.
func TestFirstKernelsFail(t *testing.T) {
	for _, large := range []bool{false, true} {
		card := fake.Card("gfx1100")
		card.LargeBAR = large
		p, _ := process(t, fake.Config{GPUs: []fake.GPU{card}, NoSharedCode: true}, drv.Options{})
		gpus, err := p.Devices()
		must(t, err)
		_, err = p.Open(gpus[0])
		if err == nil || !strings.Contains(err.Error(), "not executable") ||
			strings.Contains(err.Error(), drv.EnvBootstrap+"=vram") != large {
			t.Errorf("large BAR %v: %v", large, err)
		}
	}
}
