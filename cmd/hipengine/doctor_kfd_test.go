package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kfdTree writes the files of a machine with a Radeon RX 7900 XTX, which has no ROCm, to a new folder.
func kfdTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	const nodes = "sys/devices/virtual/kfd/kfd/topology/nodes/"
	for name, text := range map[string]string{
		nodes + "0/gpu_id":     "0\n",
		nodes + "0/properties": "cpu_cores_count 16\nsimd_count 0\n",
		nodes + "1/gpu_id":     "49923\n",
		nodes + "1/properties": "simd_count 192\nsimd_per_cu 2\nmax_waves_per_simd 16\nwave_front_size 32\n" +
			"gfx_target_version 110000\ndevice_id 29772\nlocation_id 768\ndomain 0\ndrm_render_minor 128\n" +
			"capability 671588992\nnum_xcc 1\ncwsr_size 46047232\nctl_stack_size 40960\n",
		nodes + "1/mem_banks/0/properties": "heap_type 2\nsize_in_bytes 25753026560\n",
		"sys/module/amdgpu/version":        "6.12\n",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestDoctorKFD lists the devices of another machine's files, without any library, and writes the report.
func TestDoctorKFD(t *testing.T) {
	root, report := kfdTree(t), filepath.Join(t.TempDir(), "report.txt")
	r := command(t, "", "doctor", "--kfd", "--root", root, "--report", report)
	if r.code != 0 || !strings.Contains(r.out, "kfd:0 AMD Radeon RX 7900 series, gfx1100, 0000:03:00.0, node 1") {
		t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	b, err := os.ReadFile(report)
	if err != nil || !strings.HasPrefix(r.out, string(b)) || !strings.Contains(string(b), "all steps passed") {
		t.Errorf("%v: the report is %q, what was printed %q", err, b, r.out)
	}
	r = command(t, "", "doctor", "--kfd", "--root", root, "--device", "kfd:1")
	if r.code != exitFailed || !strings.Contains(r.out, "2 FAIL topology") ||
		!strings.Contains(r.errOut, "there are 1 devices") {
		t.Errorf("a second device: exit %d, out %q, err %q", r.code, r.out, r.errOut)
	}
	for _, args := range [][]string{{"--kfd", "--device", "hip:0"}, {"--kfd", "--device", "kfd:x"}, {"--limits"},
		{"--report", report}, {"--kfd", "--soak", "1"}, {"--suspend"}, {"--idle", "1s"}, {"--only", "soak"},
		{"--kfd", "--idle", "-1s"}, {"--kfd", "--only", "all"}, {"--kfd", "--only", "hang", "--destructive"},
		{"--kfd", "--root", root, "--only", "soak"}} {
		if r := command(t, "", append([]string{"doctor"}, args...)...); r.code != exitUsage {
			t.Errorf("%q: exit %d, err %q", args, r.code, r.errOut)
		}
	}
}
