package topo

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Files are the files of the machine; package sys has them.
type Files interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
}

// Nodes is the folder of the topology's nodes.
const Nodes = "/sys/devices/virtual/kfd/kfd/topology/nodes"

// ErrNoKFD says that the kernel has no KFD topology at all.
var ErrNoKFD = errors.New("no KFD topology")

// Bits of the property "capability", from kfd_sysfs.h.
const (
	capDoorbellShift = 12
	capDoorbellMask  = 3
	capDoubleMap     = 1 << 14
	capQueueReset    = 1 << 31
	doorbellAQL      = 2 // 64-bit doorbells
)

// GPU is a GPU of the topology. Sizes are in bytes.
type GPU struct {
	Node       int    // its number in the topology
	ID         uint32 // by which ioctls name it
	Version    uint32 // gfx_target_version
	Target     string // "gfx1100"
	Name       string // marketing name
	PCI        string // "0000:03:00.0"
	Render     int    // N of renderD<N>; -1 if it has none
	UniqueID   uint64
	DeviceID   uint32 // of PCI
	CUs        uint32
	SIMDs      uint32 // of a compute unit
	Waves      uint32 // of a SIMD
	XCCs       uint32
	Wave       uint32 // lanes
	Memory     uint64 // of its one bank
	LargeBAR   bool   // all of it can be mapped by the host
	BusBits    uint32
	MemMHz     uint32
	ClockMHz   uint32
	Firmware   uint32 // of the packet processor
	Capability uint32
	CWSR       uint32            // context save size that the kernel demands; 0 before Linux 6.12
	CtlStack   uint32            // control stack size that it demands; 0 before Linux 6.12
	Props      map[string]uint64 // all properties, for reports
	Links      []Link
}

// Link is a connection of a GPU to another node.
type Link struct {
	Type, To, Flags uint32
	Peer            bool // from p2p_links
}

// Unfit says why a GPU cannot be driven, whatever kernels there are for it; nil if it can.
func (g *GPU) Unfit() error {
	switch {
	case g.Render < 0:
		return fmt.Errorf("node %d (%s) has no render node", g.Node, g.Target)
	case g.XCCs != 1:
		return fmt.Errorf("node %d (%s) has %d compute partitions, one is supported", g.Node, g.Target, g.XCCs)
	case g.Wave != 32:
		return fmt.Errorf("node %d (%s) has waves of %d lanes, 32 are supported", g.Node, g.Target, g.Wave)
	case g.Capability>>capDoorbellShift&capDoorbellMask != doorbellAQL:
		return fmt.Errorf("node %d (%s) has doorbells of type %d, 2 is supported", g.Node, g.Target,
			g.Capability>>capDoorbellShift&capDoorbellMask)
	case g.Capability&capDoubleMap != 0:
		return fmt.Errorf("node %d (%s) wants its rings mapped twice, which is not supported", g.Node, g.Target)
	case g.CUs == 0 || g.CUs > 1<<12:
		return fmt.Errorf("node %d (%s) has %d compute units", g.Node, g.Target, g.CUs)
	}
	return nil
}

// RenderPath returns the path of the render node.
func (g *GPU) RenderPath() string { return fmt.Sprintf("/dev/dri/renderD%d", g.Render) }

// QueueReset reports whether the kernel can reset a queue alone.
func (g *GPU) QueueReset() bool { return g.Capability&capQueueReset != 0 }

// All returns the GPUs of the topology in the order of nodes. Nodes that a control group hides are left out. The error
// wraps ErrNoKFD if there is no topology.
func All(f Files) ([]GPU, error) {
	names, err := f.ReadDir(Nodes)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("topo: %s: %w", Nodes, ErrNoKFD)
		}
		return nil, fmt.Errorf("topo: %s: %w", Nodes, err)
	}
	var numbers []int
	for _, n := range names {
		if i, err := strconv.Atoi(n); err == nil && i >= 0 {
			numbers = append(numbers, i)
		}
	}
	slices.Sort(numbers)
	var gpus []GPU
	for _, i := range numbers {
		g, ok, err := node(f, i)
		if err != nil {
			return nil, err
		}
		if ok {
			gpus = append(gpus, g)
		}
	}
	return gpus, nil
}

// hidden reports whether a read failed because the node is not this program's: EPERM, or it vanished.
func hidden(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, fs.ErrNotExist)
}

// node reads a node; ok is false for one of a CPU and one that is hidden.
func node(f Files, i int) (g GPU, ok bool, err error) {
	dir := fmt.Sprintf("%s/%d", Nodes, i)
	id, err := f.ReadFile(dir + "/gpu_id")
	if err != nil {
		if hidden(err) {
			return g, false, nil
		}
		return g, false, fmt.Errorf("topo: node %d: %w", i, err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(id)), 10, 32)
	if err != nil {
		return g, false, fmt.Errorf("topo: node %d: gpu_id %q is no number", i, strings.TrimSpace(string(id)))
	}
	if n == 0 {
		return g, false, nil
	}
	p, err := properties(f, dir+"/properties")
	if err != nil {
		if hidden(err) {
			return g, false, nil
		}
		return g, false, fmt.Errorf("topo: node %d: %w", i, err)
	}
	g = GPU{Node: i, ID: uint32(n), Version: uint32(p["gfx_target_version"]), UniqueID: p["unique_id"],
		DeviceID: uint32(p["device_id"]), SIMDs: uint32(p["simd_per_cu"]), Waves: uint32(p["max_waves_per_simd"]),
		XCCs: 1, Wave: uint32(p["wave_front_size"]), ClockMHz: uint32(p["max_engine_clk_fcompute"]),
		Firmware: uint32(p["fw_version"]), Capability: uint32(p["capability"]), CWSR: uint32(p["cwsr_size"]),
		CtlStack: uint32(p["ctl_stack_size"]), Props: p, Render: -1}
	g.Target = Target(g.Version)
	if x, ok := p["num_xcc"]; ok {
		g.XCCs = uint32(x)
	}
	if r, ok := p["drm_render_minor"]; ok && r >= 128 && r < 1<<16 {
		g.Render = int(r)
	}
	if g.SIMDs > 0 && g.XCCs > 0 {
		g.CUs = uint32(p["simd_count"]) / g.SIMDs / g.XCCs
	}
	loc := p["location_id"]
	g.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", p["domain"], loc>>8&255, loc>>3&31, loc&7)
	if err := g.banks(f, dir); err != nil {
		return g, false, err
	}
	if err := g.links(f, dir); err != nil {
		return g, false, err
	}
	g.Name = marketingName(f, &g)
	return g, true, nil
}

// banks reads the memory: one bank of type 1 (the host can map all of it) or 2.
func (g *GPU) banks(f Files, dir string) error {
	names, err := f.ReadDir(dir + "/mem_banks")
	if err != nil && !hidden(err) {
		return fmt.Errorf("topo: node %d: %w", g.Node, err)
	}
	for _, b := range names {
		p, err := properties(f, dir+"/mem_banks/"+b+"/properties")
		if err != nil {
			return fmt.Errorf("topo: node %d: memory bank %s: %w", g.Node, b, err)
		}
		if t := p["heap_type"]; t == 1 || t == 2 {
			g.Memory, g.LargeBAR = g.Memory+p["size_in_bytes"], t == 1
			g.BusBits, g.MemMHz = uint32(p["width"]), uint32(p["mem_clk_max"])
		}
	}
	return nil
}

// links reads how the GPU is connected.
func (g *GPU) links(f Files, dir string) error {
	for _, kind := range []string{"io_links", "p2p_links"} {
		names, err := f.ReadDir(dir + "/" + kind)
		if err != nil && !hidden(err) {
			return fmt.Errorf("topo: node %d: %w", g.Node, err)
		}
		for _, l := range names {
			p, err := properties(f, dir+"/"+kind+"/"+l+"/properties")
			if err != nil {
				if hidden(err) { // the node at its other end is
					continue
				}
				return fmt.Errorf("topo: node %d: link %s: %w", g.Node, l, err)
			}
			g.Links = append(g.Links, Link{uint32(p["type"]), uint32(p["node_to"]), uint32(p["flags"]),
				kind == "p2p_links"})
		}
	}
	return nil
}

// properties reads a file of lines "key value". Values that are no numbers are left out.
func properties(f Files, path string) (map[string]uint64, error) {
	b, err := f.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			p[key] = n
		} else if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			p[key] = uint64(n) // "-1"
		}
	}
	return p, nil
}

// Target returns the name of a gfx_target_version: 110501 is "gfx1151".
func Target(version uint32) string {
	return fmt.Sprintf("gfx%d%x%x", version/10000, version/100%100, version%100)
}

// Number reads a file of one decimal number, such as mem_info_vram_total.
func Number(f Files, path string) (uint64, bool) {
	b, err := f.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// Loaded reports whether the amdgpu driver is loaded.
func Loaded(f Files) bool {
	_, err := f.ReadDir("/sys/module/amdgpu")
	return err == nil
}
