package doctor

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// releases are os-release of the distributions whose commands are known, and of one that is derived from one of them.
var releases = map[string]string{
	"debian": "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n",
	"ubuntu": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"26.04\"\nPRETTY_NAME=\"Ubuntu 26.04\"\n",
	"fedora": "ID=fedora\nVERSION_ID=44\nPRETTY_NAME=\"Fedora 44\"\n",
	"arch":   "ID=arch\nPRETTY_NAME=\"Arch Linux\"\n",
	"cachy":  "ID=cachyos\nID_LIKE=arch\nPRETTY_NAME=CachyOS\n",
	"other":  "ID=nixos\nPRETTY_NAME=NixOS\n",
}

// fixes returns the lines for a check on a tree, with another distribution, and changes to its files.
func fixes(t *testing.T, tree, release, check string, changes fstest.MapFS) string {
	t.Helper()
	files := readTree(t, filepath.Join("testdata", tree+".txtar"))
	files["etc/os-release"] = &fstest.MapFile{Data: []byte(releases[release])}
	maps.Copy(files, changes)
	o := options(files)
	for _, f := range Examine(o).Findings {
		if f.Check == check {
			return strings.Join(f.Fix, "\n")
		}
	}
	return "nothing found"
}

// TestFixes checks what the four distributions are told to type.
func TestFixes(t *testing.T) {
	const amd = " has HIP 5.7, which is too old for gfx1201: add AMD's packages as " + amdRepository +
		" says, then\nsudo apt install hip-runtime-amd"
	grub := func(option string) string {
		return `sudo sed -i 's/^GRUB_CMDLINE_LINUX_DEFAULT="/&` + option + ` /' /etc/default/grub && sudo `
	}
	for _, c := range []struct {
		tree, check string
		want        map[string]string
	}{
		{"9070xt", "HIP runtime", map[string]string{
			"debian": "Debian 13" + amd, "ubuntu": "sudo apt install libamdhip64-7",
			"fedora": "sudo dnf install rocm-hip",
			"arch":   "sudo pacman -S hip-runtime-amd", "cachy": "sudo pacman -S hip-runtime-amd",
			"other": "install AMD's HIP runtime, libamdhip64, as " + amdRepository + " says",
		}},
		// 5.7 knows gfx1100
		{"container", "HIP runtime", map[string]string{"debian": "sudo apt install libamdhip64-5"}},
		{"strix-halo", "GTT", map[string]string{
			"debian": grub("ttm.pages_limit=28573696") + "update-grub\nsudo reboot",
			"ubuntu": grub("ttm.pages_limit=28573696") + "update-grub\nsudo reboot",
			"fedora": `sudo grubby --update-kernel=ALL --args="ttm.pages_limit=28573696"` + "\nsudo reboot",
			"arch":   grub("ttm.pages_limit=28573696") + "grub-mkconfig -o /boot/grub/grub.cfg\nsudo reboot",
			"other":  "add ttm.pages_limit=28573696 to the kernel's command line, in the way of your distribution, and reboot",
		}},
		{"strix-halo", "IOMMU", map[string]string{
			"fedora": `sudo grubby --update-kernel=ALL --args="amd_iommu=off"` + "\nsudo reboot",
			"ubuntu": grub("amd_iommu=off") + "update-grub\nsudo reboot",
		}},
		{"strix-halo", "kernel", map[string]string{
			"debian": "sudo apt install -t trixie-backports linux-image-amd64\nsudo reboot",
			"ubuntu": "sudo apt install linux-generic-hwe-26.04\nsudo reboot",
			"fedora": "sudo dnf upgrade kernel\nsudo reboot", "arch": "sudo pacman -Syu linux\nsudo reboot",
		}},
		{"strix-halo", "firmware", map[string]string{
			"debian": "sudo apt install -t trixie-backports firmware-amd-graphics\nsudo reboot",
			"ubuntu": "sudo apt update && sudo apt install linux-firmware\nsudo reboot",
			"fedora": "sudo dnf upgrade amd-gpu-firmware\nsudo reboot",
			"arch":   "sudo pacman -Syu linux-firmware-amdgpu\nsudo reboot",
		}},
		{"no-permission", "permissions", map[string]string{
			"debian": "sudo usermod -aG render me\nlog out and in again, or restart the service",
			"arch":   "sudo usermod -aG render me\nlog out and in again, or restart the service",
		}},
	} {
		for release, want := range c.want {
			if got := fixes(t, c.tree, release, c.check, nil); got != want {
				t.Errorf("%s on %s:\n%s\nwant\n%s", c.check, release, got, want)
			}
		}
	}
}

// TestVariants changes one file of a tree and looks at one check.
func TestVariants(t *testing.T) {
	file := func(name, text string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(text)}} }
	const none = "nothing found"
	for _, c := range []struct {
		name, tree, check string
		changes           fstest.MapFS
		want              string
	}{
		{"Debian's kernel has the change for gfx1151", "strix-halo", "kernel",
			file("proc/sys/kernel/osrelease", "6.12.117+deb13-amd64\n"), none},
		{"and no other of that age", "strix-halo", "kernel", file("proc/sys/kernel/osrelease", "6.12.117-arch\n"),
			"sudo apt"},
		{"nor the one before", "strix-halo", "kernel", file("proc/sys/kernel/osrelease", "6.12.116+deb13-amd64\n"),
			"sudo apt"},
		{"good firmware", "strix-halo", "firmware", file("sys/bus/pci/devices/0000:c5:00.0/fw_version/mes_fw_version",
			"0x00000080"), none},
		{"GTT as large as can be", "strix-halo", "GTT", file("sys/bus/pci/devices/0000:c5:00.0/mem_info_gtt_total",
			"117037858816"), none},
		{"no IOMMU", "two-cards", "P2P", file("sys/kernel/iommu_groups/0/type", "identity"), ""},
		{"open to all", "no-permission", "permissions", fstest.MapFS{
			"dev/kfd":            {Data: []byte("crw-rw-rw- 1 root render 511, 0 Nov 1 08:00 kfd\n")},
			"dev/dri/renderD128": {Data: []byte("crw-rw-rw- 1 root render 511, 0 Nov 1 08:00 renderD128\n")},
		}, none},
		{"two groups", "no-permission", "permissions", file("dev/kfd",
			"crw-rw---- 1 root video 511, 0 Nov 1 08:00 kfd\n"),
			"sudo usermod -aG render,video me"},
		{"an old runtime beside a new one", "old-kernel", "HIP runtime", file("opt/rocm/lib/libamdhip64.so.7.1.0", ""),
			"export HIPENGINE_HIP_LIBRARY=/opt/rocm/lib/libamdhip64.so.7.1.0"},
		{"which the loader finds", "old-kernel", "HIP runtime", fstest.MapFS{"opt/rocm/lib/libamdhip64.so.7.1.0": {},
			"etc/ld.so.conf.d/rocm.conf": {Data: []byte("/opt/rocm/lib\n")}}, none},
		{"which the user names", "old-kernel", "HIP runtime",
			file("proc/self/environ", "A=b\x00HIPENGINE_HIP_LIBRARY=/x/libamdhip64.so.7.2\x00"), none},
		{"a new one in the loader's path", "old-kernel", "HIP runtime",
			file("usr/lib/x86_64-linux-gnu/libamdhip64.so.7.1.0", ""), none},
		{"young runtime", "unknown-to-driver", "HIP runtime", file("opt/rocm/lib/libamdhip64.so.6.3.60300", ""),
			"AMD's packages"},
	} {
		if got := fixes(t, c.tree, "debian", c.check, c.changes); !strings.Contains(got, c.want) || c.want == "" &&
			got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestWantedGTT asks for sizes.
func TestWantedGTT(t *testing.T) {
	for want, text := range map[int64]string{
		64 << 30: "ttm.pages_limit=16777216 makes it 64 GiB", 100<<30 + 1: "ttm.pages_limit=26476544 makes it 101 GiB",
		124 << 30: "2 GiB at least must stay", 32 << 30: "",
	} {
		o := options(readTree(t, "testdata/strix-halo.txtar"))
		o.GTT = want
		var got []string
		for _, f := range Examine(o).Findings {
			if f.Check == "GTT" {
				got = append(got, f.Text)
			}
		}
		if (text == "") != (len(got) == 0) || !strings.Contains(strings.Join(got, " "), text) {
			t.Errorf("%d bytes: %q, want %q", want, got, text)
		}
	}
}

// TestEmptyMachine: nothing is known of a machine without files, and nothing fails.
func TestEmptyMachine(t *testing.T) {
	r := Examine(options(fstest.MapFS{}))
	if len(r.GPUs) != 0 || r.Auto.Device != "cpu" || r.Problems() != 0 {
		t.Errorf("%+v", r)
	}
}

// TestLevels: the flags of processors, which decide on kernels, and the order in which they are asked.
func TestLevels(t *testing.T) {
	avx512 := []string{"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}
	for want, flags := range map[string][]string{
		"generic": {"avx2", "fma"}, "avx2": avx512[:7], "avx512": avx512, "amx": append(slices.Clone(avx512),
			"amx_tile", "amx_bf16"),
		"neon": {"asimd"}, "neon+dotprod": {"asimd", "asimddp"},
	} {
		if got := level(flags); got != want {
			t.Errorf("%v: %s, want %s", flags, got, want)
		}
	}
}
