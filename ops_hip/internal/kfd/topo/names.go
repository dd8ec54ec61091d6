package topo

import (
	"fmt"
	"strconv"
	"strings"
)

// names are marketing names by PCI device and revision; revision -1 is any other. They come from libdrm's table of
// names.
var names = map[uint32]map[int]string{
	0x744c: {0xc8: "AMD Radeon RX 7900 XTX", 0xcc: "AMD Radeon RX 7900 XT", 0xce: "AMD Radeon RX 7900 GRE",
		-1: "AMD Radeon RX 7900 series"},
	0x7448: {-1: "AMD Radeon PRO W7900"},
	0x745e: {-1: "AMD Radeon PRO W7800"},
	0x747e: {0xc8: "AMD Radeon RX 7800 XT", 0xff: "AMD Radeon RX 7700 XT", -1: "AMD Radeon RX 7800 XT or 7700 XT"},
	0x7480: {-1: "AMD Radeon RX 7600 series"},
	0x7550: {0xc0: "AMD Radeon RX 9070 XT", 0xc3: "AMD Radeon RX 9070", -1: "AMD Radeon RX 9070 series"},
	0x7551: {-1: "AMD Radeon AI PRO R9700"},
	0x7590: {-1: "AMD Radeon RX 9060 series"},
	0x1586: {-1: "AMD Radeon 8060S or 8050S"},
	0x150e: {-1: "AMD Radeon 890M or 880M"},
	0x15bf: {-1: "AMD Radeon 780M or 760M"},
	0x1900: {-1: "AMD Radeon 780M or 760M"},
}

// marketingName returns the name of a GPU from libdrm's table on this machine, from the built-in one, or made of its
// numbers.
func marketingName(f Files, g *GPU) string {
	rev := -1
	if b, err := f.ReadFile("/sys/bus/pci/devices/" + g.PCI + "/revision"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x"), 16, 8); err == nil {
			rev = int(n)
		}
	}
	if b, err := f.ReadFile("/usr/share/libdrm/amdgpu.ids"); err == nil && rev >= 0 {
		for line := range strings.Lines(string(b)) {
			parts := strings.SplitN(line, ",", 3)
			if len(parts) == 3 && isHex(parts[0], uint64(g.DeviceID)) && isHex(parts[1], uint64(rev)) {
				return strings.TrimSpace(parts[2])
			}
		}
	}
	if t, ok := names[g.DeviceID]; ok {
		if n, ok := t[rev]; ok {
			return n
		}
		return t[-1]
	}
	return fmt.Sprintf("AMD %s [1002:%04x]", g.Target, g.DeviceID)
}

func isHex(s string, want uint64) bool {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 16, 32)
	return err == nil && n == want
}
