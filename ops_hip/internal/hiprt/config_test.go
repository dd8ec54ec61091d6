package hiprt

import (
	"testing"
	"unsafe"
)

// Offsets of CUlaunchConfig and CUlaunchAttribute in cuda.h.
func TestLaunchConfig(t *testing.T) {
	var c launchConfig
	for name, at := range map[string][2]uintptr{
		"blockDimX":         {unsafe.Offsetof(c.block), 12},
		"sharedMemBytes":    {unsafe.Offsetof(c.shared), 24},
		"hStream":           {unsafe.Offsetof(c.stream), 32},
		"attrs":             {unsafe.Offsetof(c.attributes), 40},
		"numAttrs":          {unsafe.Offsetof(c.count), 48},
		"attribute's value": {unsafe.Offsetof(c.attribute.value), 8},
		"attribute's end":   {unsafe.Sizeof(c.attribute), 72},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at %d, not %d", name, at[0], at[1])
		}
	}
}
