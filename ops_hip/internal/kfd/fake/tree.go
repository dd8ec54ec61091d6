//go:build linux

package fake

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// tree is a machine's sysfs: files by path.
type tree map[string]string

const (
	topology = "/sys/devices/virtual/kfd/kfd/topology/"
	nodesDir = topology + "nodes/"
)

// counterKHz is the frequency of timestamps.
const counterKHz = 100_000

// newTree describes a machine as Linux does: node 0 is the processor.
func newTree(m *Machine) tree {
	t := tree{kfdPath: ""}
	t["/proc/sys/kernel/osrelease"] = m.cfg.Kernel.Name + "\n"
	t["/sys/module/amdgpu/version"] = ""
	t["/sys/module/amdgpu/parameters/no_system_mem_limit"] = "N\n"
	t["/sys/module/amdgpu/parameters/cwsr_enable"] = "1\n"
	t["/sys/module/amdgpu/parameters/pcie_p2p"] = "Y\n"
	gtt := int64(1 << 30)
	for _, g := range m.gpus {
		gtt = max(gtt, g.spec.GTT)
	}
	t["/sys/module/ttm/parameters/pages_limit"] = fmt.Sprintf("%d\n", gtt/4096)
	t[topology+"generation_id"] = "1\n"
	t[topology+"system_properties"] = "platform_oem 0\nplatform_id 0\nplatform_rev 0\n"
	t.node(0, 0, "", properties{{"cpu_cores_count", 16}, {"simd_count", 0}, {"mem_banks_count", 1},
		{"caches_count", 0}, {"io_links_count", uint64(len(m.gpus))}, {"p2p_links_count", 0}})
	t[nodesDir+"0/mem_banks/0/properties"] = properties{{"heap_type", 0}, {"size_in_bytes", 32 << 30}, {"flags", 0},
		{"width", 64}, {"mem_clk_max", 2400}}.String()
	for _, g := range m.gpus {
		t.gpu(m, g)
	}
	return t
}

// properties are the lines of such a file.
type properties []struct {
	key   string
	value uint64
}

// String formats p as sysfs does.
func (p properties) String() string {
	var b strings.Builder
	for _, x := range p {
		fmt.Fprintf(&b, "%s %d\n", x.key, x.value)
	}
	return b.String()
}

func (t tree) node(n int, id uint32, name string, p properties) {
	dir := fmt.Sprintf("%s%d/", nodesDir, n)
	t[dir+"gpu_id"] = fmt.Sprintf("%d\n", id)
	t[dir+"name"] = name + "\n"
	t[dir+"properties"] = p.String()
}

// bdf is the PCI address of a GPU.
func (g *gpu) bdf() string { return fmt.Sprintf("0000:%02x:00.0", 3+g.index) }

func (t tree) gpu(m *Machine, g *gpu) {
	size := g.cwsr()
	peers := 0
	for _, x := range m.gpus {
		if x != g && x.spec.Peer {
			t[fmt.Sprintf("%s%d/p2p_links/%d/properties", nodesDir, g.node, peers)] = link(g.node, x.node)
			peers++
		}
	}
	links := properties{{"io_links_count", 1}, {"p2p_links_count", uint64(peers)}}
	p := properties{{"cpu_cores_count", 0}, {"simd_count", uint64(2 * g.spec.CUs)}, {"mem_banks_count", 1},
		{"caches_count", 1}, links[0], links[1], {"cpu_core_id_base", 0}, {"simd_id_base", 2147487744},
		{"max_waves_per_simd", 16}, {"lds_size_in_kb", 64}, {"gds_size_in_kb", 0}, {"num_gws", 64},
		{"wave_front_size", 32}, {"array_count", 2}, {"simd_arrays_per_engine", 2}, {"cu_per_simd_array", 8},
		{"simd_per_cu", 2}, {"max_slots_scratch_cu", 32}, {"gfx_target_version", uint64(g.version)},
		{"vendor_id", 0x1002}, {"device_id", uint64(g.spec.DeviceID)}, {"location_id", uint64(3+g.index) << 8},
		{"domain", 0}, {"drm_render_minor", uint64(g.minor)}, {"hive_id", 0}, {"num_sdma_engines", 2},
		{"num_sdma_xgmi_engines", 0}, {"num_sdma_queues_per_engine", 6}, {"num_cp_queues", 8}}
	if m.cfg.Kernel.Sizes {
		p = append(p, properties{{"cwsr_size", uint64(size.Save)}, {"ctl_stack_size", uint64(size.Ctl)}}...)
	}
	unique := 0x1122334455660000 + uint64(g.index)
	if g.spec.APU {
		unique = 0
	}
	p = append(p, properties{{"max_engine_clk_fcompute", 2500}, {"local_mem_size", 0}, {"fw_version", 2600},
		{"capability", 0x8a002000}, {"debug_prop", 1495}, {"sdma_fw_version", 24}, {"unique_id", unique}, {"num_xcc", 1},
		{"max_engine_clk_ccompute", 5000}}...)
	t.node(g.node, g.id, "ip discovery", p)
	dir := fmt.Sprintf("%s%d/", nodesDir, g.node)
	heap, vram := uint64(2), g.spec.VRAM
	if g.spec.LargeBAR || g.spec.APU {
		heap = 1
	}
	if g.spec.APU {
		vram = g.spec.GTT
	}
	t[dir+"mem_banks/0/properties"] = properties{{"heap_type", heap}, {"size_in_bytes", uint64(vram)}, {"flags", 0},
		{"width", 256}, {"mem_clk_max", 1250}}.String()
	t[dir+"caches/0/properties"] = properties{{"processor_id_low", 2147487744}, {"level", 1}, {"size", 32},
		{"cache_line_size", 128}, {"cache_lines_per_tag", 1}, {"association", 4}, {"latency", 0}, {"type", 9}}.String()
	t[dir+"io_links/0/properties"] = link(g.node, 0)
	t[fmt.Sprintf("%s0/io_links/%d/properties", nodesDir, g.index)] = link(0, g.node)
	t[fmt.Sprintf("%s%d", renderPath, g.minor)] = ""
	for _, dev := range []string{fmt.Sprintf("/sys/class/drm/renderD%d/device/", g.minor), "/sys/bus/pci/devices/" +
		g.bdf() + "/"} {
		t[dev+"vendor"], t[dev+"device"] = "0x1002\n", fmt.Sprintf("0x%04x\n", g.spec.DeviceID)
		t[dev+"revision"] = "0xc8\n"
		t[dev+"mem_info_vram_total"] = fmt.Sprintf("%d\n", g.spec.VRAM)
		t[dev+"mem_info_vram_used"] = "0\n"
		t[dev+"mem_info_vis_vram_total"] = fmt.Sprintf("%d\n", g.visible())
		t[dev+"mem_info_gtt_total"] = fmt.Sprintf("%d\n", g.spec.GTT)
		t[dev+"mem_info_gtt_used"] = "0\n"
	}
}

// visible returns how many bytes of device memory the host could map.
func (g *gpu) visible() int64 {
	if g.spec.LargeBAR || g.spec.APU {
		return g.spec.VRAM
	}
	return min(g.spec.VRAM, 256<<20)
}

func link(from, to int) string {
	return properties{{"type", 2}, {"version_major", 0}, {"version_minor", 0}, {"node_from", uint64(from)},
		{"node_to", uint64(to)}, {"weight", 20}, {"min_latency", 0}, {"max_latency", 0}, {"min_bandwidth", 312},
		{"max_bandwidth", 31504}, {"recommended_transfer_size", 0}, {"recommended_sdma_engine_id_mask", 0},
		{"flags", 1}}.String()
}

// hasKFD reports whether /dev/kfd exists.
func (t tree) hasKFD() bool { _, ok := t[kfdPath]; return ok }

func (t tree) read(name string) ([]byte, error) {
	s, ok := t[path.Clean(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	return []byte(s), nil
}

// list returns the names in a folder, sorted.
func (t tree) list(dir string) ([]string, error) {
	prefix := strings.TrimSuffix(path.Clean(dir), "/") + "/"
	var names []string
	for p := range t {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			first, _, _ := strings.Cut(rest, "/")
			names = append(names, first)
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOENT}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// SetFile replaces a file of sysfs, or adds one.
func (m *Machine) SetFile(name, content string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tree[name] = content
}

// RemoveFiles takes away all files whose paths begin with prefix.
func (m *Machine) RemoveFiles(prefix string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.tree {
		if strings.HasPrefix(p, prefix) {
			delete(m.tree, p)
		}
	}
}

// SetProperty replaces a value in the properties of GPU i.
func (m *Machine) SetProperty(i int, key string, value uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := fmt.Sprintf("%s%d/properties", nodesDir, m.gpus[i].node)
	var b strings.Builder
	for line := range strings.Lines(m.tree[name]) {
		if k, _, _ := strings.Cut(line, " "); k == key {
			line = fmt.Sprintf("%s %d\n", key, value)
		}
		b.WriteString(line)
	}
	m.tree[name] = b.String()
}
