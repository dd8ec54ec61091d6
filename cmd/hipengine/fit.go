package main

import (
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
	"github.com/hipengine/hipengine/models/hub"
)

// fitCmd says what fits where.
type fitCmd struct {
	deviceFlags
	splitFlags
	Models    string    `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
	Model     []string  `arg:"" optional:"" help:"Model files, or names; of hf:OWNER/NAME:QUANT that are not in the cache only headers are fetched."`
	Contexts  []int     `placeholder:"N,..." help:"Context lengths in tokens (default: 4096, 16384, 65536 and so on, up to the model's own)."`
	KVTypes   []string  `name:"kv-types" default:"f16,q8_0" placeholder:"TYPE,..." help:"Types of keys and values in the cache."`
	Into      []float64 `placeholder:"GIB,..." help:"Sizes of memory to fit into, in GiB (default: what is free on the device). With --device emu:gfx1100, weights lie as that card wants them."`
	Sequences int       `default:"1" help:"Answers at the same time, each with its own context."`
	Spec      string    `default:"off" placeholder:"HOW" help:"Count what guessing tokens takes: mtp (a layer of the model, and the states that it can go back to), ngram or off."`
	JSON      bool      `help:"Print JSON."`
}

// fitReport is what fit knows of a model, in the shape of its JSON.
type fitReport struct {
	Model     string       `json:"model"`
	Device    string       `json:"device"`
	FileBytes int64        `json:"file_bytes"` // 0 if it is not known
	Trained   int          `json:"trained_context"`
	Rows      []fitRow     `json:"rows"`
	Largest   []fitLargest `json:"largest"`
	Parts     []fitPart    `json:"parts,omitempty"` // of several devices, at the longest context
}

// fitPart is what one of several devices has of a model.
type fitPart struct {
	Device  string  `json:"device"`
	Layers  []int   `json:"layers"`
	Experts int     `json:"experts"`                // layers of other devices whose experts are there
	Slots   int     `json:"expert_slots,omitempty"` // copies of experts of each of its layers
	Need    int64   `json:"need"`                   // bytes
	Free    int64   `json:"free"`                   // -1 if the device cannot tell
	Read    int64   `json:"read"`                   // bytes of weights that a token reads
	Rate    float64 `json:"rate"`                   // bytes per second of the memory; 0 if it was not measured
	text    string
}

// fitRow is what a context takes, in bytes.
type fitRow struct {
	Context int    `json:"context"`
	KVType  string `json:"kv_type"`
	Weights int64  `json:"weights"`
	State   int64  `json:"state"`
	Plans   int64  `json:"plans"`
	Need    int64  `json:"need"`
	Fits    []bool `json:"fits"` // in each of the memories
}

// fitLargest is the longest context that fits into a memory.
type fitLargest struct {
	Memory  int64  `json:"memory"` // bytes; -1 if the device cannot tell what is free
	KVType  string `json:"kv_type"`
	Context int    `json:"context"` // tokens; 0 if none fits
}

// Run executes the command. A model that fits nowhere is no error: that is the answer.
func (c *fitCmd) Run(ctx context.Context, std stdio) error {
	memory, err := c.check()
	if err != nil {
		return err
	}
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: c.Device, Threads: c.Threads, SIMD: c.SIMD})
	if err != nil {
		return err
	}
	defer h.Close()
	if len(c.Model) == 0 {
		c.Model = []string{hipengine.Ember}
	}
	reports := []fitReport{}
	for _, name := range c.Model {
		r, err := c.fit(ctx, h, name, memory)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(reports)
	}
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		if err := r.print(std.out); err != nil {
			return err
		}
	}
	return nil
}

// check reports flags out of range, and returns the memories in bytes, a 0 for that of the device.
func (c *fitCmd) check() (memory []int64, err error) {
	for _, n := range c.Contexts {
		if n < 1 || n > hipengine.MaxContext {
			return nil, usageError{fmt.Errorf("--contexts %d is outside 1..%d", n, hipengine.MaxContext)}
		}
	}
	if c.Sequences < 1 || c.Sequences > 1024 {
		return nil, usageError{fmt.Errorf("--sequences %d is outside 1..1024", c.Sequences)}
	}
	for _, n := range c.Into {
		if !(n > 0 && n <= 1<<20) {
			return nil, usageError{fmt.Errorf("--into %v is outside 0..%d", n, 1<<20)}
		}
		memory = append(memory, int64(n*(1<<30)))
	}
	if len(memory) == 0 {
		memory = []int64{0}
	}
	return memory, nil
}

// open opens a model, of a hub without fetching more than its headers.
func (c *fitCmd) open(ctx context.Context, name string) (*hipengine.File, error) {
	o := hipengine.Options{Folder: c.Models}
	f, err := hipengine.OpenFile(name, o)
	if !errors.As(err, new(*hub.NotCachedError)) {
		return f, err
	}
	r, err := hub.ParseRef(name)
	if err != nil {
		return nil, err
	}
	client, err := hub.DefaultClient()
	if err != nil {
		return nil, err
	}
	return hipengine.OpenRemote(ctx, client, r, o)
}

// fit makes the report of a model.
func (c *fitCmd) fit(ctx context.Context, h *hipengine.Host, name string, memory []int64) (r fitReport, err error) {
	f, err := c.open(ctx, name)
	if err != nil {
		return r, err
	}
	defer f.Close()
	r = fitReport{Model: hipengine.ModelID(name), FileBytes: f.Size(), Rows: []fitRow{}}
	if r.Trained, err = f.Context(); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	lengths := c.Contexts
	if len(lengths) == 0 {
		for n := 4096; n < r.Trained; n *= 4 {
			lengths = append(lengths, n)
		}
		lengths = append(lengths, min(r.Trained, hipengine.MaxContext))
	}
	longest := max(slices.Max(lengths), min(r.Trained, hipengine.MaxContext))
	for _, kv := range c.KVTypes {
		o := hipengine.Options{KVType: kv, Sequences: c.Sequences, Spec: c.Spec}
		c.splitFlags.apply(&o)
		o.Context = longest
		var free []int64
		for _, m := range memory {
			fit, err := h.Fit(ctx, f, o, m)
			if err != nil {
				return r, fmt.Errorf("%s: %w", name, err)
			}
			r.Device, free = fit.Device, append(free, fit.Free)
			r.Parts = nil
			for _, p := range fit.Parts {
				r.Parts = append(r.Parts, fitPart{p.Device, append([]int{}, p.Layers...), p.Experts, p.Slots,
					p.Weights + p.State + p.Plans, p.Free, p.Read, p.Rate, p.String()})
			}
			r.Largest = append(r.Largest, fitLargest{fit.Free, kv, fit.Largest})
		}
		for _, n := range lengths {
			o.Context = n
			fit, err := h.Fit(ctx, f, o, math.MaxInt64) // so that no context that fits is looked for
			if err != nil {
				return r, fmt.Errorf("%s: %w", name, err)
			}
			row := fitRow{Context: n, KVType: kv, Weights: fit.Weights, State: fit.State, Plans: fit.Plans,
				Need: fit.Need()}
			for _, n := range free {
				fit.Free = n
				row.Fits = append(row.Fits, fit.Fits())
			}
			r.Rows = append(r.Rows, row)
		}
	}
	return r, nil
}

// print writes the report for people.
func (r fitReport) print(out io.Writer) error {
	size := ""
	if r.FileBytes > 0 {
		size = fmt.Sprintf(", %.2f GB", float64(r.FileBytes)/1e9)
	}
	fmt.Fprintf(out, "%s%s, made for %d tokens, on %s\n", r.Model, size, r.Trained, r.Device)
	for _, p := range r.Parts {
		fmt.Fprintln(out, "  "+p.text)
	}
	gib := func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/(1<<30)) }
	where := func(l fitLargest) string {
		if l.Memory < 0 {
			return "memory that is not known"
		}
		return gib(l.Memory) + " GiB"
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "CTX\tKV\tWEIGHTS\tSTATE\tPLANS\tGIB IN ALL")
	for i := range r.Rows[0].Fits {
		fmt.Fprintf(w, "\tIN %s", strings.ToUpper(where(r.Largest[i])))
	}
	fmt.Fprintln(w)
	for _, x := range r.Rows {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s", x.Context, x.KVType, gib(x.Weights), gib(x.State), gib(x.Plans),
			gib(x.Need))
		for _, fits := range x.Fits {
			word := "no"
			if fits {
				word = "fits"
			}
			fmt.Fprintf(w, "\t%s", word)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range r.Largest {
		if l.Context == 0 {
			fmt.Fprintf(out, "%s: nothing fits into %s\n", l.KVType, where(l))
		} else {
			fmt.Fprintf(out, "%s: up to %d tokens fit into %s\n", l.KVType, l.Context, where(l))
		}
	}
	return nil
}
