package main

import (
	"context"
	"encoding/json"
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
	Architecture string            `json:"architecture"`
	Supported    bool              `json:"supported"`
	Problem      string            `json:"problem,omitempty"` // why the file cannot run
	Notes        []string          `json:"notes,omitempty"`   // what to know if it can
	Parameters   int64             `json:"parameters"`
	TensorBytes  int64             `json:"tensor_bytes"`
	FileBytes    int64             `json:"file_bytes,omitempty"` // of a GGUF file, all parts
	Types        []typeCount       `json:"types"`
	Metadata     []metadata        `json:"metadata"`
	Tensors      []inspectedTensor `json:"tensors"`
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
	f, err := hipengine.OpenFile(c.Model, c.options())
	if err != nil {
		return err
	}
	defer f.Close()
	in := inspect(f)
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(in)
	}
	return in.print(std.out)
}

func inspect(f *hipengine.File) inspection {
	in := inspection{Supported: true, FileBytes: f.Size(), Tensors: []inspectedTensor{}, Types: []typeCount{},
		Metadata: []metadata{}}
	in.Architecture, _ = f.Meta().StringOr("general.architecture", "") // a wrong type shows in Problem
	if err := f.Check(); err != nil {
		in.Supported, in.Problem = false, err.Error()
	} else {
		in.Notes = f.Notes()
	}
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
	return in
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

func (in inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "architecture\t%s\n", in.Architecture)
	if in.Supported {
		fmt.Fprintf(w, "supported\tyes\n")
	} else {
		fmt.Fprintf(w, "supported\tno: %s\n", in.Problem)
	}
	for _, n := range in.Notes {
		fmt.Fprintf(w, "note\t%s\n", n)
	}
	fmt.Fprintf(w, "parameters\t%.2f M\n", float64(in.Parameters)/1e6)
	fmt.Fprintf(w, "tensors\t%.2f MB\n", float64(in.TensorBytes)/1e6)
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
