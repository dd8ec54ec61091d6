package doctor

import (
	"fmt"
	"strings"
)

// pagesPerGiB is in units of ttm.pages_limit.
const pagesPerGiB = 1 << 30 / 4096

// gtt checks how much of the host's memory an integrated GPU may use. asked is what the user wants in bytes, 0 for
// what is sensible.
func (r *Report) gtt(t tree, asked int64) {
	for _, g := range r.GPUs {
		if !g.Integrated || !g.Kernels || g.GTT == 0 {
			continue
		}
		want, severity := asked, Note
		if asked == 0 {
			severity = Warning
			if want = sensibleGTT(r.Memory.Total); g.Target != "gfx1151" || g.Usable >= want*9/10 {
				continue // small ones serve displays beside another card, more often than not
			}
		}
		gibs := (want + 1<<30 - 1) >> 30
		if want > r.Memory.Total-2<<30 {
			r.find(Warning, "GTT", nil,
				"%s of GTT were asked for, and the host has %s: 2 GiB at least must stay for the rest",
				gib(want), gib(r.Memory.Total))
			continue
		}
		if g.GTT >= want {
			continue
		}
		option := fmt.Sprintf("ttm.pages_limit=%d", gibs*pagesPerGiB)
		fix := r.distro.bootOption(option)
		text := fmt.Sprintf("%s may use %s of the host's %s as GTT beside %s of its own: %s makes it %d GiB, and "+
			"amdgpu.gttsize is not needed", g.Name, gib(g.GTT), gib(r.Memory.Total), gib(g.VRAM), option, gibs)
		if g.VRAM > 4<<30 {
			text += "; in the firmware's setup, a small frame buffer (512 MB) leaves more to share"
		}
		if limit := t.number("sys/module/ttm/parameters/pages_limit"); limit > 0 &&
			strings.Contains(t.text("proc/cmdline"), "ttm.pages_limit") {
			text += fmt.Sprintf("; now it is %d", limit)
		}
		r.find(severity, "GTT", fix, "%s", text)
	}
}

// sensibleGTT leaves an eighth of the memory, at least 8 GiB and at most 16, for everything else, in whole GiB.
func sensibleGTT(total int64) int64 {
	rest := min(max(total/8, 8<<30), 16<<30)
	return max(0, (total-rest)>>30<<30)
}

// bars checks that the processor can address all memory of a card.
func (r *Report) bars() {
	for _, g := range r.GPUs {
		if !g.Integrated && g.Kernels && g.Visible > 0 && g.Visible < g.VRAM {
			r.find(Note, "PCI", []string{"in the firmware's setup, turn on Resizable BAR and Above 4G Decoding"},
				"the processor can address %s of the %s of %s", gib(g.Visible), gib(g.VRAM), g.Name)
		}
	}
}

// translation checks the IOMMU.
func (r *Report) translation() {
	discrete := 0
	for _, g := range r.GPUs {
		if g.Target == "gfx1151" && r.System.IOMMU != "off" {
			// Measured by users: specifications of the hardware do not say it.
			r.find(Warning, "IOMMU", r.distro.bootOption("amd_iommu=off"),
				"the IOMMU is %s: without it, Strix Halo reads prompts 13 to 16 %% faster. "+
					"Virtual machines that are given devices need it", r.System.IOMMU)
		}
		if !g.Integrated && g.Kernels {
			discrete++
		}
	}
	if discrete < 2 {
		return
	}
	if r.System.IOMMU == "on" {
		r.find(Warning, "P2P", r.distro.bootOption("iommu=pt"),
			"there are %d cards, and the IOMMU translates their addresses: "+
				"copies from one to another go through the host, or fail", discrete)
	}
	for _, g := range r.GPUs {
		if !g.Integrated && g.Kernels && len(g.Peers) == 0 {
			r.find(Note, "P2P", nil,
				"%s (%s) cannot read the memory of other cards: the slot, the IOMMU or a small BAR keep it from it",
				g.Name, g.PCI)
		}
	}
}
