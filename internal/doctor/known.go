package doctor

import (
	"slices"
	"strings"
)

// kernelFrom are the kernels from which on cards work well. Older ones may have no driver for them, or one of its
// first months. Sources: release notes of Linux, reports of users of ROCm, and for Debian's the changelog of its
// kernel.
var kernelFrom = []struct {
	prefix string
	first  [3]int
	why    string
}{
	{"gfx1151", [3]int{6, 18, 4},
		"older ones reserve too little memory for saving its waves, which ends in page faults"},
	{"gfx110", [3]int{6, 8, 0}, "older ones have a driver of its first months"},
	{"gfx1150", [3]int{6, 11, 0}, "older ones have a driver of its first months"},
	{"gfx120", [3]int{6, 13, 0}, "older ones have a driver of its first months"},
}

// badFirmware are versions that hang. Source: reports of users of ROCm.
var badFirmware = []struct{ target, part, version, text string }{
	{"gfx1151", "mes", "0x00000083", "hangs the GPU, or makes its queues fault: that of linux-firmware 20251125"},
}

// known checks kernels and firmware against those that are known to be bad.
func (r *Report) known() {
	kernel := digits(r.System.Kernel)
	if kernel == [3]int{} {
		return
	}
	seen := map[string]bool{}
	for _, g := range r.GPUs {
		for _, k := range kernelFrom {
			if !strings.HasPrefix(g.Target, k.prefix) || atLeast(kernel, k.first) {
				continue
			}
			debian := strings.Contains(r.System.Kernel, "deb")
			if g.Target == "gfx1151" && debian && atLeast(kernel, [3]int{6, 12, 117}) {
				continue // has the change
			}
			if !seen[g.Target] {
				r.find(Warning, "kernel", r.distro.newerKernel(),
					"Linux %s is older than %d.%d.%d, from which on %s works well: %s",
					r.System.Kernel, k.first[0], k.first[1], k.first[2], g.Target, k.why)
			}
			seen[g.Target] = true
			break
		}
		for _, f := range badFirmware {
			if g.Target == f.target && g.Firmware[f.part] == f.version {
				r.find(Problem, "firmware", r.distro.newerFirmware(), "%s firmware %s of %s %s",
					strings.ToUpper(f.part), f.version, g.Name, f.text)
			}
		}
		if g.Node >= 0 && !g.cwsr && atLeast(kernel, [3]int{6, 12, 0}) {
			r.find(Note, "kernel", nil,
				"the driver does not say how large queues of %s must be, as kernels from 6.12 "+
					"on do: it is not the kernel's own", g.Name)
		}
	}
}

// atLeast reports whether a version is another or later.
func atLeast(version, first [3]int) bool { return slices.Compare(version[:], first[:]) >= 0 }

func (d distro) newerKernel() []string {
	switch d.kind {
	case "debian":
		return []string{"sudo apt install -t " + debianBackports(d.version) + " linux-image-amd64", "sudo reboot"}
	case "ubuntu":
		if d.version == "" {
			return []string{"sudo apt update && sudo apt full-upgrade", "sudo reboot"}
		}
		return []string{"sudo apt install linux-generic-hwe-" + d.version, "sudo reboot"}
	case "fedora":
		return []string{"sudo dnf upgrade kernel", "sudo reboot"}
	case "arch":
		return []string{"sudo pacman -Syu linux", "sudo reboot"}
	}
	return []string{"install a newer kernel"}
}

func debianBackports(version string) string {
	name := map[string]string{"12": "bookworm", "13": "trixie"}[version]
	if name == "" {
		name = "stable"
	}
	return name + "-backports"
}

func (d distro) newerFirmware() []string {
	switch d.kind {
	case "debian":
		return []string{"sudo apt install -t " + debianBackports(d.version) + " firmware-amd-graphics", "sudo reboot"}
	case "ubuntu":
		return []string{"sudo apt update && sudo apt install linux-firmware", "sudo reboot"}
	case "fedora":
		return []string{"sudo dnf upgrade amd-gpu-firmware", "sudo reboot"}
	case "arch":
		return []string{"sudo pacman -Syu linux-firmware-amdgpu", "sudo reboot"}
	}
	return []string{"install another version of linux-firmware, and reboot"}
}

// cards checks what of the cards themselves keeps them from being used.
func (r *Report) cards() {
	for _, g := range r.GPUs {
		switch {
		case g.Target == "":
			g.Problem = "it is none of the GPUs that this program knows"
			r.find(Note, "kernels", nil,
				"%s (%s) is none of the GPUs that this program knows, which are RDNA3, RDNA3.5 "+
					"and RDNA4", g.Name, g.PCI)
		case g.Node < 0 && g.Kernels && g.Problem == "" && r.System.Driver != "not loaded":
			g.Problem = "the driver does not compute on it"
			r.find(Problem, "driver", []string{"sudo dmesg | grep -iE 'kfd|amdgpu'"},
				"%s (%s) has no node in the topology of KFD: the kernel is older than the card, PCIe atomics do not "+
					"reach its slot, or its firmware is missing; the kernel's log says which", g.Name, g.PCI)
		case !g.Kernels:
			g.Problem = "this program has no kernels for " + g.Target // whatever else there is
			r.find(Note, "kernels", nil, "%s is %s, for which this program has no kernels", g.Name, g.Target)
		}
	}
}

// environment checks variables that change what programs see of the GPUs.
func (r *Report) environment(t tree) {
	if v, _ := t.environ("HSA_OVERRIDE_GFX_VERSION"); v != "" {
		r.find(Warning, "environment", []string{"unset HSA_OVERRIDE_GFX_VERSION"},
			"HSA_OVERRIDE_GFX_VERSION=%s makes the runtime take the card for another, whose kernels may count on more "+
				"registers than it has. This program has kernels for each", v)
	}
}
