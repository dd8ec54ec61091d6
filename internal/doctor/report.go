package doctor

import "fmt"

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	Note    Severity = "note"    // may be good to know
	Warning Severity = "warning" // costs speed or memory, or may fail
	Problem Severity = "problem" // keeps a GPU from being used
)

// Finding is something that could be better.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"` // what was looked at: kernel, permissions, runtime, ...
	Text     string   `json:"text"`
	Fix      []string `json:"fix,omitempty"` // what to type, or else to do, in this order
}

// System is the software of a machine below the program.
type System struct {
	Distribution string `json:"distribution"` // as it calls itself
	Kernel       string `json:"kernel"`
	Container    bool   `json:"container"`
	Driver       string `json:"driver"` // of amdgpu: in-tree, a version of its own, or not loaded
	IOMMU        string `json:"iommu"`  // off, passthrough, on, or not known
}

// Memory is that of the host, in bytes.
type Memory struct {
	Total     int64 `json:"total"`
	Available int64 `json:"available"`        // as the kernel estimates it
	Locked    int64 `json:"locked,omitempty"` // part of which the estimate counts as if it could give way
	Swap      int64 `json:"swap,omitempty"`
}

// CPU is the processor.
type CPU struct {
	Name    string `json:"name"`
	Threads int    `json:"threads"`
	// instructions that kernels are there for: generic, avx2, avx512, amx, neon, neon+dotprod
	Level string `json:"level"`
}

// Runtime is the HIP runtime that would be loaded.
type Runtime struct {
	Path    string `json:"path,omitempty"` // empty if there is none
	Version string `json:"version,omitempty"`

	major, minor int
}

// GPU is an AMD GPU. Sizes are in bytes.
type GPU struct {
	Node       int               `json:"node"` // of the topology of KFD; -1 if the card is not in it
	Name       string            `json:"name"`
	PCI        string            `json:"pci"`
	ID         string            `json:"device_id"` // "744c"
	Target     string            `json:"target,omitempty"`
	Kernels    bool              `json:"kernels"` // the program has kernels for the target
	Integrated bool              `json:"integrated"`
	CUs        int               `json:"compute_units,omitempty"`
	VRAM       int64             `json:"vram,omitempty"`
	VRAMUsed   int64             `json:"vram_used,omitempty"`
	Visible    int64             `json:"visible_vram,omitempty"` // that the CPU can address
	GTT        int64             `json:"gtt,omitempty"`          // host memory that the card may use
	GTTUsed    int64             `json:"gtt_used,omitempty"`
	Usable     int64             `json:"usable"` // for models: VRAM, and GTT too where both are the host's memory
	Peers      []int             `json:"peers,omitempty"`
	Firmware   map[string]string `json:"firmware,omitempty"`
	// as --device spells it, if nothing keeps it from being used
	Device  string `json:"device,omitempty"`
	Problem string `json:"problem,omitempty"` // else what does

	bandwidth int64 // what tells equal sizes apart
	render    string
	serial    string // in hexadecimal
	cwsr      bool   // the kernel tells sizes of queues
}

// Choice is the device that auto takes.
type Choice struct {
	Device string   `json:"device"`
	Why    []string `json:"why"`
}

// Proof is what was tried, and how it went.
type Proof struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Text   string `json:"text"`
}

// Report is what is known of a machine.
type Report struct {
	System   System    `json:"system"`
	CPU      CPU       `json:"cpu"`
	Memory   Memory    `json:"memory"`
	Runtime  Runtime   `json:"hip"`
	GPUs     []*GPU    `json:"gpus"`
	Auto     Choice    `json:"auto"`
	Proofs   []Proof   `json:"proofs,omitempty"`
	Findings []Finding `json:"findings"`

	distro  distro
	visible []*GPU    // to the program, in its order
	others  []Runtime // that are installed beside, in the order in which they would be tried
}

// Problems returns how many findings keep a GPU from being used, and how many proofs failed.
func (r *Report) Problems() (n int) {
	for _, f := range r.Findings {
		if f.Severity == Problem {
			n++
		}
	}
	for _, p := range r.Proofs {
		if !p.Passed {
			n++
		}
	}
	return n
}

// find adds a finding.
func (r *Report) find(s Severity, check string, fix []string, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{s, check, fmt.Sprintf(format, args...), fix})
}
