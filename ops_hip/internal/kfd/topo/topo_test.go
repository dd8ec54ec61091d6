package topo

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree is a machine's files; an error takes the place of a file that cannot be read.
type tree struct {
	files map[string]string
	fails map[string]error
}

func (m tree) ReadFile(path string) ([]byte, error) {
	if err := m.fails[path]; err != nil {
		return nil, err
	}
	if s, ok := m.files[path]; ok {
		return []byte(s), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
}

func (m tree) ReadDir(path string) ([]string, error) {
	if err := m.fails[path]; err != nil {
		return nil, err
	}
	var names []string
	for p := range m.files {
		if rest, ok := strings.CutPrefix(p, path+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// card are the properties of a card in node 1.
type card struct {
	version, simds, device, render, loc int
	unique                              uint64
	cwsr, ctl                           int
	heap                                int
}

func (m tree) add(node, id int, c card) {
	dir := fmt.Sprintf("%s/%d/", Nodes, node)
	m.files[dir+"gpu_id"] = fmt.Sprintln(id)
	m.files[dir+"name"] = "ip discovery\n"
	if id == 0 {
		m.files[dir+"properties"] = "cpu_cores_count 16\nsimd_count 0\ndrm_render_minor -1\n"
		m.files[dir+"mem_banks/0/properties"] = "heap_type 0\nsize_in_bytes 68719476736\n"
		return
	}
	m.files[dir+"properties"] = fmt.Sprintf(`cpu_cores_count 0
simd_count %d
mem_banks_count 1
max_waves_per_simd 16
lds_size_in_kb 64
wave_front_size 32
simd_per_cu 2
gfx_target_version %d
vendor_id 4098
device_id %d
location_id %d
domain 0
drm_render_minor %d
hive_id 0
max_engine_clk_fcompute 2482
local_mem_size 0
fw_version 2300
capability 671588992
unique_id %d
num_xcc 1
cwsr_size %d
ctl_stack_size %d
`, c.simds, c.version, c.device, c.loc, c.render, c.unique, c.cwsr, c.ctl)
	m.files[dir+"mem_banks/0/properties"] = fmt.Sprintf(
		"heap_type %d\nsize_in_bytes 25753026560\nflags 0\nwidth 384\nmem_clk_max 1249\n", c.heap)
	m.files[dir+"io_links/0/properties"] = "type 2\nnode_from 1\nnode_to 0\nflags 3\n"
	m.files[dir+"p2p_links/0/properties"] = "type 2\nnode_from 1\nnode_to 3\nflags 17\n"
}

func newTree() tree { return tree{map[string]string{}, map[string]error{}} }

var (
	xtx  = card{110000, 192, 0x744c, 128, 0x0300, 0x1a2b3c4d5e6f7081, 46047232, 40960, 2}
	halo = card{110501, 80, 0x1586, 129, 0xc500, 0, 19185664, 16384, 1}
	r970 = card{120001, 128, 0x7551, 130, 0x0b09, 0x1affffffffffffff, 30699520, 28672, 1}
)

// TestAll reads a machine with three GPUs, a gap in its nodes, and one that a control group hides.
func TestAll(t *testing.T) {
	m := newTree()
	m.add(0, 0, card{})
	m.add(1, 4711, xtx)
	m.add(3, 4712, halo)
	m.add(10, 4713, r970)
	m.add(4, 9999, xtx)
	m.fails[Nodes+"/4/properties"] = &fs.PathError{Op: "read", Path: "properties", Err: syscall.EPERM}
	m.files["/sys/bus/pci/devices/0000:03:00.0/revision"] = "0xc8\n"
	gpus, err := All(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(gpus) != 3 {
		t.Fatalf("%d GPUs, want 3: %+v", len(gpus), gpus)
	}
	g := gpus[0]
	if g.Node != 1 || g.ID != 4711 || g.Target != "gfx1100" || g.CUs != 96 || g.SIMDs != 2 || g.Waves != 16 ||
		g.PCI != "0000:03:00.0" || g.Render != 128 || g.RenderPath() != "/dev/dri/renderD128" ||
		g.Memory != 25753026560 || g.LargeBAR || g.BusBits != 384 || g.MemMHz != 1249 || g.ClockMHz != 2482 ||
		g.CWSR != 46047232 || g.CtlStack != 40960 || g.Firmware != 2300 || g.Name != "AMD Radeon RX 7900 XTX" {
		t.Errorf("node 1: %+v", g)
	}
	if len(g.Links) != 2 || g.Links[1] != (Link{2, 3, 17, true}) {
		t.Errorf("links: %+v", g.Links)
	}
	if g := gpus[1]; g.Target != "gfx1151" || g.Name != "AMD Radeon 8060S or 8050S" || !g.LargeBAR || g.CUs != 40 {
		t.Errorf("node 3: %+v", g)
	}
	if g := gpus[2]; g.PCI != "0000:0b:01.1" || g.Target != "gfx1201" || g.Name != "AMD Radeon AI PRO R9700" {
		t.Errorf("node 10: %+v", g)
	}
	for i := range gpus {
		if err := gpus[i].Unfit(); err != nil {
			t.Error(err)
		}
	}
}

func TestTarget(t *testing.T) {
	for v, want := range map[uint32]string{110000: "gfx1100", 110003: "gfx1103", 110501: "gfx1151", 120001: "gfx1201",
		90010: "gfx90a", 100306: "gfx1036"} {
		if got := Target(v); got != want {
			t.Errorf("%d is %s, want %s", v, got, want)
		}
	}
}

func TestNone(t *testing.T) {
	if _, err := All(newTree()); !errors.Is(err, ErrNoKFD) {
		t.Errorf("no topology: %v", err)
	}
	m := newTree()
	m.add(0, 0, card{})
	if gpus, err := All(m); err != nil || len(gpus) != 0 {
		t.Errorf("CPU alone: %v, %v", gpus, err)
	}
	m.add(1, 4711, xtx)
	m.fails[Nodes+"/1/gpu_id"] = syscall.EIO
	if _, err := All(m); !errors.Is(err, syscall.EIO) {
		t.Errorf("a node that cannot be read: %v", err)
	}
	m = newTree()
	m.add(1, 4711, xtx)
	m.files[Nodes+"/1/gpu_id"] = "many\n"
	if _, err := All(m); err == nil || !strings.Contains(err.Error(), "no number") {
		t.Errorf("a gpu_id that is no number: %v", err)
	}
}

// TestUnfit has a reason for each kind of GPU that cannot be driven.
func TestUnfit(t *testing.T) {
	for _, x := range []struct{ from, to, want string }{
		{"num_xcc 1", "num_xcc 8", "partitions"},
		{"wave_front_size 32", "wave_front_size 64", "64 lanes"},
		{"drm_render_minor 128", "drm_render_minor -1", "no render node"},
		{"capability 671588992", "capability 1", "doorbells of type 0"},
		{"capability 671588992", "capability 671605376", "mapped twice"},
		{"simd_count 192", "simd_count 0", "0 compute units"},
	} {
		m := newTree()
		m.add(1, 4711, xtx)
		p := Nodes + "/1/properties"
		changed := strings.Replace(m.files[p], x.from, x.to, 1)
		if changed == m.files[p] {
			t.Fatalf("%q is not in the properties", x.from)
		}
		m.files[p] = changed
		gpus, err := All(m)
		if err != nil || len(gpus) != 1 {
			t.Fatalf("%s: %v, %v", x.to, gpus, err)
		}
		if err := gpus[0].Unfit(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.to, err, x.want)
		}
	}
}

func TestVisible(t *testing.T) {
	gpus := []GPU{{Node: 1, UniqueID: 0x1a2b3c4d5e6f7081}, {Node: 2, UniqueID: 0x1affffffffffffff}, {Node: 3}}
	for _, x := range []struct {
		env  string // NAME=VALUE of each, separated by blanks
		want string
	}{
		{"", "1 2 3"},
		{"ROCR_VISIBLE_DEVICES=2,0", "3 1"},
		{"ROCR_VISIBLE_DEVICES=", ""},
		{"ROCR_VISIBLE_DEVICES=1,7,0", "2"},
		{"ROCR_VISIBLE_DEVICES=1,1,0", "2"},
		{"ROCR_VISIBLE_DEVICES=-1", ""},
		{"ROCR_VISIBLE_DEVICES=GPU-1A2B,GPU-1aff", "1 2"},
		{"ROCR_VISIBLE_DEVICES=GPU-1A", ""},
		{"ROCR_VISIBLE_DEVICES=0,GPU-00,1", "1"},
		{"ROCR_VISIBLE_DEVICES=2,1 HIP_VISIBLE_DEVICES=1", "2"},
		{"HIP_VISIBLE_DEVICES=2 CUDA_VISIBLE_DEVICES=0", "3"},
		{"CUDA_VISIBLE_DEVICES=0", "1"},
		{"HIP_VISIBLE_DEVICES=GPU-1A2B", ""},
	} {
		env := map[string]string{}
		for _, e := range strings.Fields(x.env) {
			k, v, _ := strings.Cut(e, "=")
			env[k] = v
		}
		var got []string
		for _, g := range Visible(gpus, func(k string) (string, bool) { v, ok := env[k]; return v, ok }) {
			got = append(got, fmt.Sprint(g.Node))
		}
		if s := strings.Join(got, " "); s != x.want {
			t.Errorf("%q leaves nodes %q, want %q", x.env, s, x.want)
		}
	}
}

func TestNames(t *testing.T) {
	m := newTree()
	g := GPU{DeviceID: 0x744c, PCI: "0000:03:00.0", Target: "gfx1100"}
	if got := marketingName(m, &g); got != "AMD Radeon RX 7900 series" {
		t.Errorf("without a revision: %q", got)
	}
	m.files["/sys/bus/pci/devices/0000:03:00.0/revision"] = "0xcc\n"
	if got := marketingName(m, &g); got != "AMD Radeon RX 7900 XT" {
		t.Errorf("revision cc: %q", got)
	}
	m.files["/usr/share/libdrm/amdgpu.ids"] = "# table\n1.0.0\n744C,\tC8,\tAnother\n744C,\tCC,\tA card of the table\n"
	if got := marketingName(m, &g); got != "A card of the table" {
		t.Errorf("with libdrm's table: %q", got)
	}
	g.DeviceID = 0x1234
	if got := marketingName(m, &g); got != "AMD gfx1100 [1002:1234]" {
		t.Errorf("an unknown card: %q", got)
	}
}
