//go:build linux

package fake

import (
	"testing"
	"unsafe"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
)

// registersBO reports whether a handle is that of the page of registers.
func (x *mutant) registersBO(handle uint64) bool {
	b := x.Machine.proc.bos[handle]
	return b != nil && b.flags&abi.MemMMIORemap != 0
}

// TestWindowMutants are mutants of code that begins in device memory which the host maps.
func TestWindowMutants(t *testing.T) {
	card := Card("gfx1100")
	card.LargeBAR = true
	registersAlloc := func(name string, f func(a *abi.Alloc)) *mutant {
		return before(name, abi.IocAlloc, func(_ *mutant, a *abi.Alloc) {
			if a.Flags&abi.MemMMIORemap != 0 {
				f(a)
			}
		})
	}
	mutantsOn(t, Config{GPUs: []GPU{card}, NoSharedCode: true}, drv.Options{BootstrapVRAM: true}, []*mutant{
		{name: "stores are not flushed", unmap: func(x *mutant, addr, n uintptr) error {
			if s := x.Machine.spans.find(uint64(addr)); s != nil && s.kind == registers {
				clear(s.gpu.registers.data)
			}
			return x.Machine.Munmap(addr, n)
		}},
		{name: "registers stay allocated", ioctl: func(x *mutant, fd int, nr uint32, p unsafe.Pointer) error {
			if nr == abi.IocFree && x.registersBO((*abi.Free)(p).Handle) {
				return nil
			}
			return x.Machine.Ioctl(fd, nr, p)
		}},
		{name: "registers stay mapped", unmap: func(x *mutant, addr, n uintptr) error {
			if s := x.Machine.spans.find(uint64(addr)); s != nil && s.kind == registers {
				return nil
			}
			return x.Machine.Munmap(addr, n)
		}},
		registersAlloc("registers are cached", func(a *abi.Alloc) { a.Flags &^= abi.MemCoherent }),
		registersAlloc("two pages of registers", func(a *abi.Alloc) { a.Size *= 2 }),
		registersAlloc("registers at another address", func(a *abi.Alloc) { a.VA += abi.PageSize }),
		before("code in memory that the host does not map", abi.IocAlloc, func(_ *mutant, a *abi.Alloc) {
			a.Flags &^= abi.MemPublic
		}),
	})
}
