package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/bench"
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
		if !(row.Rate > 0) || len(row.Samples) != 2 || (row.Kind == bench.Decode) != (row.Share > 0) {
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
