package doctor

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	nodes     = "sys/devices/virtual/kfd/kfd/topology/nodes"
	nodesLink = "sys/class/kfd/kfd/topology/nodes" // to the same
)

// gpus finds the AMD GPUs: those that KFD, the part of the driver that computes, has nodes for, in its order, and then
// those that are only on the bus.
func (r *Report) gpus(t tree, targets []string) {
	r.GPUs = []*GPU{}
	root := nodes
	if !t.has(root) {
		root = nodesLink
	}
	var found []int
	for _, d := range t.glob(root, "*") {
		if n, err := strconv.Atoi(path.Base(d)); err == nil {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	at := map[int]*GPU{}
	for _, n := range found {
		dir := path.Join(root, strconv.Itoa(n))
		p := t.pairs(path.Join(dir, "properties"))
		if p["simd_count"] == 0 || p["vendor_id"] != 0x1002 {
			continue
		}
		g := &GPU{Node: n, ID: fmt.Sprintf("%04x", p["device_id"]), Target: targetName(p["gfx_target_version"]),
			cwsr: p["cwsr_size"] > 0}
		loc := p["location_id"]
		g.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", p["domain"], loc>>8&255, loc>>3&31, loc&7)
		if per := p["simd_per_cu"]; per > 0 {
			g.CUs = int(p["simd_count"] / per / max(1, p["num_xcc"]))
		}
		g.Kernels, g.Integrated = slices.Contains(targets, g.Target), integrated(g.Target)
		for _, bank := range t.glob(dir, "mem_banks/*/properties") {
			b := t.pairs(bank)
			g.bandwidth = max(g.bandwidth, b["width"]*b["mem_clk_max"])
		}
		for _, link := range slices.Concat(t.glob(dir, "p2p_links/*/properties"), t.glob(dir,
			"io_links/*/properties")) {
			if l := t.pairs(link); l["flags"]&1 != 0 && l["flags"]&16 == 0 {
				g.Peers = append(g.Peers, int(l["node_to"]))
			}
		}
		if minor := p["drm_render_minor"]; minor > 0 {
			g.render = fmt.Sprintf("renderD%d", minor)
		}
		g.Firmware = map[string]string{}
		if v := p["fw_version"]; v > 0 {
			g.Firmware["mec"] = strconv.FormatInt(v, 10)
		}
		g.card(t)
		at[n] = g
		r.GPUs = append(r.GPUs, g)
	}
	for _, g := range r.GPUs { // links to the processor are no peers
		g.Peers = slices.DeleteFunc(g.Peers, func(n int) bool { return at[n] == nil })
	}
	for _, dir := range t.glob("sys/bus/pci/devices/*") {
		pci := path.Base(dir)
		known := slices.ContainsFunc(r.GPUs, func(g *GPU) bool { return g.PCI == pci })
		if known || t.text(path.Join(dir, "vendor")) != "0x1002" || !strings.HasPrefix(t.text(path.Join(dir, "class")),
			"0x03") {
			continue
		}
		g := &GPU{Node: -1, PCI: pci, ID: strings.TrimPrefix(t.text(path.Join(dir, "device")), "0x")}
		if g.Target = products[g.ID].target; g.Target != "" {
			g.Kernels, g.Integrated = slices.Contains(targets, g.Target), integrated(g.Target)
		}
		g.card(t)
		r.GPUs = append(r.GPUs, g)
	}
}

// card reads what the driver says of the card as such.
func (g *GPU) card(t tree) {
	dir := path.Join("sys/bus/pci/devices", g.PCI)
	if !t.has(path.Join(dir, "mem_info_vram_total")) && g.render != "" {
		dir = path.Join("sys/class/drm", g.render, "device")
	}
	size := func(name string) int64 { return t.number(path.Join(dir, name)) }
	g.VRAM, g.VRAMUsed, g.Visible = size("mem_info_vram_total"), size("mem_info_vram_used"),
		size("mem_info_vis_vram_total")
	g.GTT, g.GTTUsed = size("mem_info_gtt_total"), size("mem_info_gtt_used")
	if g.Usable = g.VRAM; g.Integrated {
		g.Usable += g.GTT
	}
	for _, f := range t.glob(dir, "fw_version/*_fw_version") {
		if v := t.text(f); v != "" && v != "0x00000000" {
			if g.Firmware == nil {
				g.Firmware = map[string]string{}
			}
			g.Firmware[strings.TrimSuffix(path.Base(f), "_fw_version")] = v
		}
	}
	if g.Name = t.text(path.Join(dir, "product_name")); g.Name == "" {
		g.Name = products[g.ID].name
	}
	if g.ID == "744c" { // boards of one chip differ in their revision
		if n, ok := map[string]string{"0xc8": " XTX", "0xcc": " XT", "0xce": " GRE"}[t.text(path.Join(dir,
			"revision"))]; ok {
			g.Name = "Radeon RX 7900" + n
		}
	}
	if g.Name == "" {
		g.Name = fmt.Sprintf("AMD GPU [1002:%s]", g.ID)
	}
}

// targetName returns the name of an instruction set: 110501 is gfx1151.
func targetName(version int64) string {
	if version == 0 {
		return ""
	}
	return fmt.Sprintf("gfx%d%x%x", version/10000, version/100%100, version%100)
}

// integrated reports whether a target is only made as a part of processors.
func integrated(target string) bool {
	switch target {
	case "gfx902", "gfx909", "gfx90c", "gfx1033", "gfx1035", "gfx1036", "gfx1103", "gfx1150", "gfx1151", "gfx1152",
		"gfx1153":
		return true
	}
	return false
}

// product is a GPU as it is sold.
type product struct{ name, target string }

// products are GPUs by the number of their devices on the bus.
var products = map[string]product{
	"744c": {"Radeon RX 7900 XTX, XT or GRE", "gfx1100"},
	"7448": {"Radeon PRO W7900", "gfx1100"},
	"745e": {"Radeon PRO W7800", "gfx1100"},
	"747e": {"Radeon RX 7800 XT or 7700 XT", "gfx1101"},
	"7480": {"Radeon RX 7600", "gfx1102"},
	"15bf": {"Radeon 780M or 760M", "gfx1103"},
	"1900": {"Radeon 780M or 760M", "gfx1103"},
	"150e": {"Radeon 890M or 880M", "gfx1150"},
	"1586": {"Radeon 8060S or 8050S (Strix Halo)", "gfx1151"},
	"7590": {"Radeon RX 9060 XT", "gfx1200"},
	"7550": {"Radeon RX 9070 XT or 9070", "gfx1201"},
	"7551": {"Radeon AI PRO R9700", "gfx1201"},
	"164e": {"Radeon Graphics of Ryzen 7000 or 9000", "gfx1036"},
}
