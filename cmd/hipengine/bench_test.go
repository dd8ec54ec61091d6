package main

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

func TestBench(t *testing.T) {
	args := []string{"bench", "ember", "--device", "cpu", "--pp", "16", "--tg", "4", "--depth", "0,8", "--batch", "1,2", "--reps", "2"}
	r := command(t, "", append(args, "--json")...)
	var b benchReport
	if err := json.Unmarshal([]byte(r.out), &b); r.code != 0 || err != nil {
		t.Fatalf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	if len(b.Rows) != 6 || !(b.Bandwidth > 0) || b.Weights == 0 {
		t.Fatalf("report %+v", b)
	}
	for _, row := range b.Rows {
		if !(row.Rate > 0) || len(row.Samples) != 2 || (row.Test == "tg") != (row.Share > 0) {
			t.Errorf("row %+v", row)
		}
	}
	r = command(t, "", append(args, "--csv")...)
	if rows, err := csv.NewReader(strings.NewReader(r.out)).ReadAll(); r.code != 0 || err != nil || len(rows) != 7 {
		t.Errorf("exit %d, %v, out %q, err %q", r.code, err, r.out, r.errOut)
	}
	for _, c := range []struct {
		flag, value string
	}{{"--pp", "-1"}, {"--batch", "0"}, {"--reps", "0"}, {"--ctx", "8"}} {
		if r := command(t, "", "bench", "ember", "--device", "cpu", c.flag+"="+c.value); r.code != exitUsage || !strings.Contains(r.errOut, c.flag) {
			t.Errorf("%s %s: exit %d, err %q", c.flag, c.value, r.code, r.errOut)
		}
	}
}

// TestTraffic: Ember's embedding is its output, so that a step reads the whole file.
func TestTraffic(t *testing.T) {
	src, err := modelFlags{}.file("ember")
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	m, err := models.New(src.meta)
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	for _, i := range src.tensors() {
		want += float64(i.Size)
	}
	tr, err := newTraffic(m, src, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	if tr.dense != want || tr.experts != 0 || tr.state == 0 || tr.perToken == 0 {
		t.Errorf("traffic %+v, weights of %v bytes", tr, want)
	}
	if half, err := newTraffic(m, src, tensor.F16); err != nil || half.perToken != tr.perToken/2 {
		t.Errorf("F16: %v bytes for each token, %v; F32: %v", half.perToken, err, tr.perToken)
	}
	moe := traffic{dense: 10, experts: 64, all: 4, used: 2}
	for seqs, want := range map[int]float64{1: 10 + 32, 2: 10 + 48} {
		if got := moe.step(seqs, 0); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d sequences read %v, want %v", seqs, got, want)
		}
	}
}
