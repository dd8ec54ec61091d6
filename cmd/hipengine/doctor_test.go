package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/doctor"
)

// unpack writes the files of a txtar archive to a new folder.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		name, data, _ := strings.Cut(part, " --\n")
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestDoctorRoot reads the files of other machines. What is right to say of them is package doctor's business.
func TestDoctorRoot(t *testing.T) {
	good := unpack(t, "../../internal/doctor/testdata/7900xtx.txtar")
	if r := command(t, "", "doctor", "--root", good); r.code != 0 || !strings.Contains(r.out, "auto takes   hip:0") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	halo := unpack(t, "../../internal/doctor/testdata/strix-halo.txtar")
	r := command(t, "", "doctor", "--root", halo, "--gtt", "96")
	if r.code != exitFailed || !strings.Contains(r.out, "ttm.pages_limit=25165824") || !strings.Contains(r.errOut,
		"problems found: 1") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	var report doctor.Report
	r = command(t, "", "doctor", "--root", halo, "--json")
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.GPUs) != 1 ||
		report.GPUs[0].Target != "gfx1151" ||
		!report.GPUs[0].Kernels || len(report.Findings) != 5 || report.Proofs != nil {
		t.Errorf("%v: %s", err, r.out)
	}
	for _, args := range [][]string{{"--root", good + "/none"}, {"--root", good + "/etc/os-release"},
		{"--gtt", "-1"}} {
		if r := command(t, "", append([]string{"doctor"}, args...)...); r.code != exitUsage ||
			!strings.Contains(r.errOut, args[0]) {
			t.Errorf("%q: exit %d, err %q", args, r.code, r.errOut)
		}
	}
}

// TestDoctor examines this machine, whatever it is, and tries its processor.
func TestDoctor(t *testing.T) {
	r := command(t, "", "doctor", "--device", "cpu", "--json")
	var report doctor.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("exit %d, %v: %s%s", r.code, err, r.out, r.errOut)
	}
	if len(report.Proofs) != 2 || !report.Proofs[0].Passed || !report.Proofs[1].Passed || report.System.Kernel == "" ||
		report.Memory.Total == 0 {
		t.Errorf("%+v", report)
	}
	r = command(t, "", "doctor", "--device", "ref", "--quick")
	if strings.Contains(r.out, "passed") || !strings.Contains(r.out, "auto takes") {
		t.Errorf("quick: exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	if r := command(t, "", "doctor", "--device", "emu:gfx9"); r.code != exitFailed || !strings.Contains(r.out,
		"self-test    FAILED") {
		t.Errorf("a device that is not there: exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
}
