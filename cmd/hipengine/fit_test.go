package main

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
)

// TestFit plans Ember into memories, here and as it lies on a hub, of which little comes.
func TestFit(t *testing.T) {
	h := testHub(t)
	var sent atomic.Int64
	h.Served = func(n int) { sent.Add(int64(n)) }
	read := func(args ...string) (all []fitReport) {
		t.Helper()
		r := command(t, "", append([]string{"fit", "--device", "cpu", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(r.out), &all); r.code != 0 || err != nil {
			t.Fatalf("%q: exit %d, %v: %s%s", args, r.code, err, r.out, r.errOut)
		}
		return all
	}
	all := read("ember", "hf:a/b:Q8_0", "--into", "0.015625,24", "--contexts", "512,4096")
	if len(all) != 2 || len(all[0].Rows) != 4 || len(all[0].Largest) != 4 || all[0].Trained != 4096 ||
		all[0].Device != "cpu" {
		t.Fatalf("%+v", all)
	}
	for i, r := range all[0].Rows {
		other := all[1].Rows[i]
		if r.Need != r.Weights+r.State+r.Plans || r.Weights < 1e7 || !r.Fits[1] || r.Need != other.Need {
			t.Errorf("%+v, on the hub %+v", r, other)
		}
		for k, memory := range []int64{1 << 24, 24 << 30} {
			if r.Fits[k] != (r.Need <= memory) || all[0].Largest[k].Memory != memory {
				t.Errorf("%+v in %d bytes", r, memory)
			}
		}
	}
	if n := sent.Load(); n == 0 || n > 2<<20 {
		t.Errorf("%d bytes came of a file of %d", n, all[1].FileBytes)
	}
	drafting := read("ember", "--into", "24", "--contexts", "512", "--kv-types", "f16", "--spec", "mtp")[0].Rows[0]
	if plain := all[0].Rows[0]; drafting.Weights < plain.Weights+1e6 || drafting.State < plain.State+4e6 {
		t.Errorf("with a layer that predicts tokens, and four states: %+v, without %+v", drafting, plain)
	}
	if all := read("--kv-types", "f32"); len(all[0].Rows) != 1 || all[0].Largest[0].Context != 4096 ||
		all[0].Largest[0].Memory <= 0 {
		t.Errorf("what is free here: %+v", all)
	}
	r := command(t, "", "fit", "--device", "cpu", "--into", "0.001")
	if r.code != 0 || !strings.Contains(r.out, "f16: nothing fits into 0.00 GiB") || !strings.Contains(r.out,
		"IN 0.00 GIB\n") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	split := command(t, "", "fit", "--device", "cpu,cpu", "--layers", "cpu=2,cpu=6", "--kv-types", "f16")
	for _, want := range []string{"on cpu,cpu\n", "\n  cpu: layers 0-1, ", "\n  cpu: layers 2-7, ", "; a token reads "} {
		if split.code != 0 || !strings.Contains(split.out, want) {
			t.Errorf("exit %d, no %q in %q, err %q", split.code, want, split.out, split.errOut)
		}
	}
	if all := read("--device", "cpu,cpu", "--split", "layer"); len(all[0].Parts) != 2 || len(all[0].Parts[1].Layers) != 4 ||
		all[0].Parts[0].Need+all[0].Parts[1].Need < all[0].Rows[0].Weights {
		t.Errorf("%+v", all[0])
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--contexts", "0"}, exitUsage, "--contexts 0"},
		{[]string{"--into=-1"}, exitUsage, "--into -1"},
		{[]string{"--sequences", "0"}, exitUsage, "--sequences 0"},
		{[]string{"--spec", "some"}, exitUsage, "--spec \"some\""},
		{[]string{"../../testdata/ember/ember-Q4_K_M.gguf", "--spec", "mtp"}, exitUsage, "no layer that predicts"},
		{[]string{"--kv-types", "f7"}, exitUsage, "--kv-type"},
		{[]string{"hf:a/b:Q4_0"}, exitFailed, "broken-Q4_0.gguf"},
		{[]string{"hf:a/b:Q3_K"}, exitFailed, "no such quantization"},
		{[]string{"none.gguf"}, exitFailed, "none.gguf"},
	} {
		r := command(t, "", append([]string{"fit", "--device", "cpu"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.errOut, c.want) {
			t.Errorf("%q: exit %d, err %q", c.args, r.code, r.errOut)
		}
	}
}

// TestInspectDraftLayer says what the layer that predicts further tokens takes of a file, if it has one.
func TestInspectDraftLayer(t *testing.T) {
	r := command(t, "", "inspect", "--device", "cpu", "ember")
	if r.code != 0 || !strings.Contains(r.out, "draft layer   1.33 MB of them") {
		t.Errorf("exit %d: %s", r.code, r.out[:min(len(r.out), 600)])
	}
	r = command(t, "", "inspect", "--device", "cpu", "../../testdata/ember/ember-Q4_K_M.gguf")
	if r.code != 0 || strings.Contains(r.out, "draft layer") {
		t.Errorf("exit %d: %s", r.code, r.out[:min(len(r.out), 600)])
	}
}
