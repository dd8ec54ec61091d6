package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// TestConvertQuantize takes Ember from its folder to a file and on to a smaller one, and asks each what it knows.
func TestConvertQuantize(t *testing.T) {
	folder := testfiles.Path(t, "builtin-model")
	dir := t.TempDir()
	full, small := filepath.Join(dir, "full.gguf"), filepath.Join(dir, "small.gguf")
	for _, c := range []struct {
		name, out, typ string
		args           []string
	}{
		{"convert", full, "bf16", []string{"convert", folder, full}},
		{"quantize", small, "q8_0", []string{"quantize", full, small, "--type", "Q8_0"}},
		{"convert at once", filepath.Join(dir, "once.gguf"), "q8_0",
			[]string{"convert", folder, filepath.Join(dir, "once.gguf"), "--type", "q8_0"}},
	} {
		if r := command(t, "", c.args...); r.code != 0 || !strings.Contains(r.out, c.typ) {
			t.Fatalf("%s: exit %d, out %q, err %q", c.name, r.code, r.out, r.errOut)
		}
		if r := command(t, "", "run", c.out, "--temp", "0", france); r.code != 0 ||
			r.out != "The capital of France is Paris.\n" {
			t.Errorf("%s: exit %d, out %q, err %q", c.name, r.code, r.out, r.errOut)
		}
	}
	a, err1 := os.ReadFile(small)
	b, err2 := os.ReadFile(filepath.Join(dir, "once.gguf"))
	if err1 != nil || err2 != nil || len(a) != len(b) {
		t.Errorf("quantizing in two steps gives %d bytes, at once %d (%v, %v)", len(a), len(b), err1, err2)
	}
	if r := command(t, "", "quantize", small, filepath.Join(dir, "no.gguf"), "--type",
		"q4_k_m"); r.code != exitFailed || !strings.Contains(r.errOut, "already") {
		t.Errorf("quantizing twice: exit %d, err %q", r.code, r.errOut)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 3 {
		t.Errorf("files left: %v", names)
	}
}

func TestConvertUsage(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	const file = "../../internal/ember/ember-Q8_0.gguf"
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no type", []string{"quantize", file, out}, exitUsage, "--type"},
		{"unknown type", []string{"quantize", file, out, "--type", "q9"}, exitUsage, "q4_k_m"},
		{"built-in", []string{"quantize", "ember", out, "--type", "q8_0"}, exitUsage, "built in"},
		{"no such file", []string{"quantize", "none.gguf", out, "--type", "q8_0"}, exitFailed, "none.gguf"},
		{"no such name", []string{"quantize", "none", out, "--type", "q8_0"}, exitFailed, "none"},
		{"output is a folder", []string{"quantize", file, dir, "--type", "q8_0"}, exitUsage, "no file"},
		{"no folder for output", []string{"quantize", file, filepath.Join(dir, "none", "out.gguf"), "--type", "q8_0"},
			exitFailed, "cannot write"},
		{"missing matrix", []string{"quantize", file, out, "--type", "q8_0", "--imatrix", filepath.Join(dir, "none")},
			exitFailed, "none"},
		{"folder without a model", []string{"convert", dir, out}, exitFailed, "config.json"},
		{"threads", []string{"quantize", file, out, "--type", "q8_0", "--threads", "-1"}, exitUsage, "--threads"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := command(t, "", c.args...); r.code != c.code || !strings.Contains(r.errOut, c.want) {
				t.Errorf("exit %d, want %d; err %q, want %q in it", r.code, c.code, r.errOut, c.want)
			}
			if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
				t.Errorf("files left: %v", names)
			}
		})
	}
}

// TestStoppedWriting ends commands that write a model before they are done: they say so and leave nothing behind.
func TestStoppedWriting(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no interrupts of other processes, and no limit of file sizes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, limit string, args ...string) (cmd *exec.Cmd, errOut *bytes.Buffer) {
		t.Helper()
		cmd = exec.CommandContext(t.Context(), "sh",
			append([]string{"-c", `ulimit -f "$1" && shift && exec "$@"`, "sh", limit, exe}, args...)...)
		cmd.Env = processEnv(t)
		errOut = &bytes.Buffer{}
		cmd.Stderr = errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, errOut
	}
	check := func(t *testing.T, err error, errOut *bytes.Buffer, want, dir string) {
		t.Helper()
		if err == nil || !strings.Contains(errOut.String(), want) {
			t.Errorf("%v, err %q, want %q in it", err, errOut, want)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("files left: %v, %v", entries, err)
		}
	}
	t.Run("full", func(t *testing.T) { // the limit of file sizes stands in for a full disk
		dir := t.TempDir()
		cmd, errOut := start(t, "100", "quantize", "../../internal/ember/ember-Q8_0.gguf",
			filepath.Join(dir, "out.gguf"), "--type", "q8_0")
		check(t, cmd.Wait(), errOut, "out.gguf", dir)
	})
	t.Run("interrupt", func(t *testing.T) {
		dir := t.TempDir()
		cmd, errOut := start(t, "unlimited", "synth", "qwen3-8b", filepath.Join(dir, "out.gguf"), "--type", "q4_k_m")
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				break
			}
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		check(t, cmd.Wait(), errOut, "stopped", dir)
	})
}
