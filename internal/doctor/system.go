package doctor

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// distro is what os-release says.
type distro struct {
	kind    string // debian, ubuntu, fedora, arch; empty for others
	name    string
	version string
}

func readDistro(t tree) distro {
	values := map[string]string{}
	for _, file := range []string{"etc/os-release", "usr/lib/os-release"} {
		for line := range strings.Lines(t.text(file)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && values[key] == "" {
				values[key] = strings.Trim(value, `"'`)
			}
		}
	}
	d := distro{name: values["PRETTY_NAME"], version: values["VERSION_ID"]}
	for _, id := range append([]string{values["ID"]}, strings.Fields(values["ID_LIKE"])...) {
		if slices.Contains([]string{"debian", "ubuntu", "fedora", "arch"}, id) {
			if d.kind = id; id != values["ID"] {
				d.version = "" // that of the derivative says nothing
				switch values["UBUNTU_CODENAME"] {
				case "noble":
					d.version = "24.04"
				case "resolute":
					d.version = "26.04"
				}
			}
			break
		}
	}
	if d.name == "" {
		d.name = "unknown"
	}
	return d
}

// bootOption returns the lines that add an option to the kernel's command line for good.
func (d distro) bootOption(option string) []string {
	grub := fmt.Sprintf(`sudo sed -i 's/^GRUB_CMDLINE_LINUX_DEFAULT="/&%s /' /etc/default/grub`, option)
	switch d.kind {
	case "debian", "ubuntu":
		return []string{grub + " && sudo update-grub", "sudo reboot"}
	case "fedora":
		return []string{fmt.Sprintf("sudo grubby --update-kernel=ALL --args=%q", option), "sudo reboot"}
	case "arch":
		return []string{grub + " && sudo grub-mkconfig -o /boot/grub/grub.cfg", "sudo reboot"}
	}
	return []string{fmt.Sprintf("add %s to the kernel's command line, in the way of your distribution, and reboot",
		option)}
}

// system reads what is below the program.
func (r *Report) system(t tree) {
	r.distro = readDistro(t)
	s := &r.System
	s.Distribution, s.Kernel = r.distro.name, t.text("proc/sys/kernel/osrelease")
	_, said := t.environ("container")
	s.Container = said || t.has(".dockerenv") || t.has("run/.containerenv") ||
		strings.Contains(t.text("proc/1/environ"), "container=")
	switch version := t.text("sys/module/amdgpu/version"); {
	case version != "":
		s.Driver = version + " (not the kernel's own: DKMS)"
	case t.has("sys/module/amdgpu"):
		s.Driver = "in-tree"
	default:
		s.Driver = "not loaded"
	}
	s.IOMMU = iommu(t)
	r.CPU = cpu(t)
	r.Memory = Memory{Total: meminfo(t, "MemTotal:"), Available: meminfo(t, "MemAvailable:"), Locked: meminfo(t,
		"Mlocked:"),
		Swap: meminfo(t, "SwapTotal:")}
	// Locked pages of files are no anonymous memory and not free: the estimate of what is available takes them for
	// caches.
	if m := r.Memory; m.Locked > 1<<30 {
		r.find(Warning, "memory", nil,
			"%s are locked, as weights are that programs map and lock. The kernel may count them among "+
				"the %s that it calls available, but they cannot give way: rely on %s", gib(m.Locked),
			gib(m.Available),
			gib(max(0, m.Available-m.Locked)))
	}
}

func meminfo(t tree, key string) int64 {
	f := t.field("proc/meminfo", key)
	if len(f) == 0 {
		return 0
	}
	var kib int64
	fmt.Sscan(f[0], &kib)
	return kib << 10
}

// iommu says whether a unit translates the addresses of devices, and whether all of them or as they are.
func iommu(t tree) string {
	types := map[string]bool{}
	for _, f := range t.glob("sys/kernel/iommu_groups/*/type") {
		types[t.text(f)] = true
	}
	switch {
	case len(types) == 0 && len(t.glob("sys/class/iommu/*")) == 0:
		return "off"
	case len(types) == 0:
		return "not known"
	case len(types) == 1 && types["identity"]:
		return "passthrough"
	}
	return "on"
}

// cpu reads the processor from /proc/cpuinfo.
func cpu(t tree) CPU {
	c := CPU{Level: "generic"}
	info := t.text("proc/cpuinfo")
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			c.Threads++
		case "model name":
			c.Name = strings.TrimSpace(value)
		case "flags", "Features":
			c.Level = level(strings.Fields(value))
		}
	}
	if c.Name == "" {
		c.Name = runtime.GOARCH
	}
	return c
}

// level names the best kernels that the flags of a processor allow, as the CPU device does.
func level(flags []string) string {
	has := func(all ...string) bool {
		return !slices.ContainsFunc(all, func(f string) bool { return !slices.Contains(flags, f) })
	}
	switch {
	case has("asimddp"):
		return "neon+dotprod"
	case has("asimd"):
		return "neon"
	case !has("avx2", "fma", "f16c"):
		return "generic"
	case !has("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"):
		return "avx2"
	case !has("amx_tile", "amx_bf16"):
		return "avx512"
	}
	return "amx"
}
