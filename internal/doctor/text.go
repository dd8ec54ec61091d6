package doctor

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people: what there is, what was tried, and what could be better, worst first.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	in := ""
	if r.System.Container {
		in = ", in a container"
	}
	row("system", "%s, Linux %s%s", r.System.Distribution, r.System.Kernel, in)
	row("processor", "%s, %d threads, kernels for %s", r.CPU.Name, r.CPU.Threads, r.CPU.Level)
	locked := ""
	if r.Memory.Locked > 1<<30 {
		locked = fmt.Sprintf(", %s locked", gib(r.Memory.Locked))
	}
	row("memory", "%s, %s available%s", gib(r.Memory.Total), gib(r.Memory.Available), locked)
	row("driver", "amdgpu %s, IOMMU %s", r.System.Driver, r.System.IOMMU)
	if r.Runtime.Path == "" {
		row("HIP runtime", "none")
	} else {
		row("HIP runtime", "%s (%s)", r.Runtime.Version, r.Runtime.Path)
	}
	for _, g := range r.GPUs {
		row("GPU", "%s", g.describe())
	}
	row("auto takes", "%s: %s", r.Auto.Device, strings.Join(r.Auto.Why, "; "))
	for _, p := range r.Proofs {
		passed := "passed"
		if !p.Passed {
			passed = "FAILED"
		}
		row(p.Name, "%s: %s", passed, p.Text)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	order := []Severity{Problem, Warning, Note}
	sorted := slices.Clone(r.Findings)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
	for _, f := range sorted {
		fmt.Fprintf(out, "\n%s: %s: %s\n", strings.ToUpper(string(f.Severity)), f.Check, f.Text)
		for _, line := range f.Fix {
			fmt.Fprintf(out, "    %s\n", line)
		}
	}
	if len(sorted) == 0 {
		_, err := fmt.Fprintln(out, "\nNothing is wrong.")
		return err
	}
	return nil
}

// describe returns a card on a line.
func (g *GPU) describe() string {
	parts := []string{g.Name, cmp.Or(g.Target, "target not known")}
	if g.CUs > 0 {
		parts = append(parts, fmt.Sprintf("%d CUs", g.CUs))
	}
	switch {
	case g.Integrated && g.VRAM+g.GTT > 0:
		parts = append(parts, fmt.Sprintf("%s of its own and %s shared", gib(g.VRAM), gib(g.GTT)))
	case g.VRAM > 0:
		parts = append(parts, fmt.Sprintf("%s, %s free", gib(g.VRAM), gib(max(0, g.VRAM-g.VRAMUsed))))
	}
	for _, name := range slices.Sorted(maps.Keys(g.Firmware)) {
		if name == "mec" || name == "mes" {
			parts = append(parts, fmt.Sprintf("%s firmware %s", strings.ToUpper(name), g.Firmware[name]))
		}
	}
	return cmp.Or(g.Device, "unusable") + " " + g.PCI + " " + strings.Join(parts, ", ")
}
