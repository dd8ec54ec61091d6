package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/gguf"
)

// inspectCmd shows the contents of a model file.
type inspectCmd struct {
	modelFlags
	Model string `arg:"" optional:"" help:"Model file, or name."`
	JSON  bool   `help:"Print JSON."`
}

// inspection is what inspect knows, in the shape of its JSON.
type inspection struct {
	Architecture string   `json:"architecture"`
	Supported    bool     `json:"supported"`
	Problem      string   `json:"problem,omitempty"` // why the file cannot run
	Notes        []string `json:"notes,omitempty"`   // what to know if it can

	// Nearest is the known architecture that is most like the file's, if that is unknown.
	Nearest *hipengine.Likeness `json:"nearest,omitempty"`

	Parameters  int64             `json:"parameters"`
	TensorBytes int64             `json:"tensor_bytes"`
	FileBytes   int64             `json:"file_bytes,omitempty"`        // of a GGUF file, all parts
	DraftLayer  int64             `json:"draft_layer_bytes,omitempty"` // of a layer that predicts further tokens
	Types       []typeCount       `json:"types"`
	Metadata    []metadata        `json:"metadata"`
	Tensors     []inspectedTensor `json:"tensors"`
}

type typeCount struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

type metadata struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type inspectedTensor struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"` // outermost first
	Bytes int64  `json:"bytes"`
}

// Run executes the command.
func (c *inspectCmd) Run(ctx context.Context, std stdio) error {
	if err := c.fetch(ctx, std.err, c.Model); err != nil {
		return err
	}
	in, err := c.inspect(ctx, std.err)
	if err != nil && in.Problem == "" {
		return err
	}
	if !in.Supported && c.Model != "" {
		// What keeps a file from being compared is its problem already.
		in.Nearest, _ = hipengine.Nearest(c.Model, c.options())
	}
	show := in.print
	if c.JSON {
		show = in.encode
	}
	return cmp.Or(show(std.out), err)
}

// inspect looks into the model as run would open it. An error that is about the file is the answer's Problem, too.
func (c *inspectCmd) inspect(ctx context.Context, log io.Writer) (inspection, error) {
	in := inspection{Tensors: []inspectedTensor{}, Types: []typeCount{}, Metadata: []metadata{}}
	f, err := hipengine.OpenFile(c.Model, c.options())
	if err != nil {
		if !isUsage(err) && !errors.As(err, new(*hipengine.NotFoundError)) {
			in.Problem = describe(err)
		}
		return in, err
	}
	defer f.Close()
	h, err := c.host(log)
	if err != nil {
		return in, err
	}
	defer h.Close()
	o := c.options()
	o.Sequences = 1
	switch err := h.Check(ctx, f, o); {
	case err == nil:
		in.Supported, in.Notes = true, f.Notes()
	case isUsage(err), ctx.Err() != nil:
		return in, err
	default:
		in.Problem = describe(err)
	}
	in.read(f)
	return in, nil
}

// read fills in what the file holds.
func (in *inspection) read(f *hipengine.File) {
	in.FileBytes, in.DraftLayer = f.Size(), f.DraftLayer()
	in.Architecture, _ = f.Meta().StringOr("general.architecture", "") // a wrong type shows in Problem
	for _, k := range f.Meta().Keys() {
		v, _ := f.Meta().Value(k)
		in.Metadata = append(in.Metadata, metadata{k, gguf.TypeName(v), printable(v)})
	}
	for _, t := range f.Tensors() {
		in.Parameters += int64(t.Shape.Elems())
		in.TensorBytes += t.Size
		in.Tensors = append(in.Tensors, inspectedTensor{t.Name, t.DType.String(), append([]int{}, t.Shape...), t.Size})
		i := slices.IndexFunc(in.Types, func(c typeCount) bool { return c.Type == t.DType.String() })
		if i < 0 {
			i = len(in.Types)
			in.Types = append(in.Types, typeCount{Type: t.DType.String()})
		}
		in.Types[i].Tensors++
		in.Types[i].Bytes += t.Size
	}
	slices.SortFunc(in.Types, func(a, b typeCount) int { return int(b.Bytes - a.Bytes) })
}

// printable replaces numbers that JSON has no form for, and lists that hold one, by their text.
func printable(v any) any {
	bad := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
	found := false
	switch v := v.(type) {
	case float32:
		found = bad(float64(v))
	case float64:
		found = bad(v)
	case []float32:
		found = slices.ContainsFunc(v, func(x float32) bool { return bad(float64(x)) })
	case []float64:
		found = slices.ContainsFunc(v, bad)
	}
	if found {
		return fmt.Sprint(v)
	}
	return v
}

func (in inspection) encode(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	return e.Encode(in)
}

func (in inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if in.Supported {
		fmt.Fprintf(w, "architecture\t%s\nsupported\tyes\n", in.Architecture)
	} else {
		fmt.Fprintf(w, "architecture\t%s\nsupported\tno: %s\n", cmp.Or(in.Architecture, "unknown"), in.Problem)
	}
	if l := in.Nearest; l != nil {
		printNearest(w, l)
	}
	if len(in.Metadata) == 0 && len(in.Tensors) == 0 {
		return w.Flush()
	}
	for _, n := range in.Notes {
		fmt.Fprintf(w, "note\t%s\n", n)
	}
	fmt.Fprintf(w, "parameters\t%.2f M\n", float64(in.Parameters)/1e6)
	fmt.Fprintf(w, "tensors\t%.2f MB\n", float64(in.TensorBytes)/1e6)
	if in.DraftLayer > 0 {
		fmt.Fprintf(w, "draft layer\t%.2f MB of them: --spec mtp uses it\n", float64(in.DraftLayer)/1e6)
	}
	for _, t := range in.Types {
		fmt.Fprintf(w, "%s\t%d tensors, %.2f MB\n", t.Type, t.Tensors, float64(t.Bytes)/1e6)
	}
	fmt.Fprintf(w, "\nMETADATA\tTYPE\tVALUE\n")
	for _, m := range in.Metadata {
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Key, m.Type, short(m.Value))
	}
	fmt.Fprintf(w, "\nTENSOR\tTYPE\tSHAPE\tBYTES\n")
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%v\t%d\n", t.Name, t.Type, t.Shape, t.Bytes)
	}
	return w.Flush()
}

// printNearest tells what an unknown architecture needs beside the one that is most like it.
func printNearest(w io.Writer, l *hipengine.Likeness) {
	switch {
	case l.Arch == "":
		fmt.Fprintf(w, "nearest\tno known architecture can read its metadata\n")
	case len(l.Also) > 0:
		fmt.Fprintf(w, "nearest\t%s, and as near %s: %d of %d kinds of tensors are known\n", l.Arch,
			strings.Join(l.Also, ", "), l.Known, l.Kinds)
	default:
		fmt.Fprintf(w, "nearest\t%s: %d of %d kinds of tensors are known\n", l.Arch, l.Known, l.Kinds)
	}
	for _, x := range []struct {
		what string
		list []string
	}{{"key missing", l.Keys}, {"missing", l.Missing}, {"other shape", l.Shapes}, {"no place", l.Extra}} {
		for _, line := range x.list {
			fmt.Fprintf(w, "  %s\t%s\n", x.what, line)
		}
	}
	if len(l.Ops) > 0 {
		fmt.Fprintf(w, "  ops\t%s\n", strings.Join(l.Ops, ", "))
	}
}

// short formats a value on one line of bounded length.
func short(v any) string {
	const limit = 60
	var s string
	switch v := v.(type) {
	case string:
		s = fmt.Sprintf("%.*q", limit, v)
	case []string:
		s = fmt.Sprintf("%.10q", v[:min(len(v), 10)])
	default:
		s = fmt.Sprint(v)
	}
	s = strings.ReplaceAll(s, "\n", " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + " …"
	}
	return s
}
