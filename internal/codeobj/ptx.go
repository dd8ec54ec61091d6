package codeobj

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	ptxTarget = regexp.MustCompile(`(?m)^\.target\s+(sm_\d+)`)
	ptxEntry  = regexp.MustCompile(`\.visible\s+\.entry\s+(\w+)\s*\(([^)]*)\)`)
	ptxParam  = regexp.MustCompile(`\.param\s+(?:\.align\s+\d+\s+)?\.[busf](\d+)\s+(?:\.ptr\s+)?[^,\[]*(\[(\d+)\])?`)
	ptxLimit  = regexp.MustCompile(`\.(?:maxntid|reqntid)\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?`)
	ptxMemory = regexp.MustCompile(`^\.(shared|local)\s+(?:\.align\s+\d+\s+)?\.[busf](\d+)\s+\w+(?:\[(\d+)\])?`)
)

// maxPTXThreads is the largest block of NVIDIA devices, and what a kernel without a limit of its own takes.
const maxPTXThreads = 1024

// parsePTX reads the entries of a PTX file as compilers write it: parameters, block limits and the memory that
// each body declares. Module-level shared variables count for every kernel.
func parsePTX(s string) (*Metadata, error) {
	t := ptxTarget.FindStringSubmatch(s)
	if t == nil {
		return nil, errors.New("codeobj: neither a code object nor PTX")
	}
	o := &Metadata{Target: t[1], PTX: true}
	entries := ptxEntry.FindAllStringSubmatchIndex(s, -1)
	global := s
	if len(entries) > 0 {
		global = s[:entries[0][0]]
	}
	shared, _, err := ptxDeclared(global)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		end := len(s)
		if i+1 < len(entries) {
			end = entries[i+1][0]
		}
		body := s[e[1]:end]
		k := Kernel{Name: s[e[2]:e[3]], Wave: 32, MaxThreads: maxPTXThreads,
			Awaits: strings.Contains(body, "griddepcontrol.wait")}
		lds, local, err := ptxDeclared(body)
		if err != nil {
			return nil, fmt.Errorf("codeobj: kernel %s: %w", k.Name, err)
		}
		k.LDS, k.Scratch = shared+lds, local
		off := 0
		for _, p := range ptxParam.FindAllStringSubmatch(s[e[4]:e[5]], -1) {
			bits, _ := strconv.Atoi(p[1]) // the pattern matches digits; an overflow is caught below
			size := bits / 8
			if p[3] != "" {
				n, _ := strconv.Atoi(p[3])
				size *= n
			}
			if bits < 8 || bits > 64 || size < 1 || size > 4096 {
				return nil, fmt.Errorf("codeobj: kernel %s: parameter %q", k.Name, p[0])
			}
			off = (off + bits/8 - 1) / (bits / 8) * (bits / 8)
			k.Args = append(k.Args, Arg{Offset: off, Size: size})
			off += size
		}
		if l := ptxLimit.FindStringSubmatch(body); l != nil {
			k.MaxThreads = 1
			for _, d := range l[1:] {
				if n, err := strconv.Atoi(d); err == nil && n > 0 && n <= maxPTXThreads {
					k.MaxThreads *= n
				}
			}
		}
		o.Kernels = append(o.Kernels, k)
	}
	return o, nil
}

// ptxDeclared sums the shared and local memory that a piece of PTX declares, in bytes.
func ptxDeclared(s string) (shared, local int, err error) {
	for line := range strings.Lines(s) {
		line = strings.TrimLeft(line, " \t")
		if !strings.HasPrefix(line, ".shared") && !strings.HasPrefix(line, ".local") { // most lines are instructions
			continue
		}
		m := ptxMemory.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		bits, _ := strconv.Atoi(m[2])
		n := 1
		if m[3] != "" {
			n, _ = strconv.Atoi(m[3])
		}
		size := bits / 8 * n
		if bits > 64 || n > 1<<24 {
			return 0, 0, fmt.Errorf("declaration %q", strings.TrimSpace(m[0]))
		}
		if m[1] == "shared" {
			shared += size
		} else {
			local += size
		}
	}
	return shared, local, nil
}
