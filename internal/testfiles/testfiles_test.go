package testfiles

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestPack(t *testing.T) {
	files := map[string][]byte{
		"config.json": []byte(`{"a": 1}`), "model.safetensors": []byte("a file of 19 bytes."), "empty.f32": {},
		"x.f32": []byte("123456789"),
	}
	b, err := Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Pack(files); err != nil || !bytes.Equal(again, b) {
		t.Errorf("packing twice gives different bytes (%v)", err)
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "x.zip")
	if err := os.WriteFile(archive, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(filepath.Join(dir, "x"), archive); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got := read(t, filepath.Join(dir, "x", name)); !bytes.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := os.WriteFile(archive, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(filepath.Join(dir, "y"), archive); err == nil {
		t.Error("half an archive unpacks without an error")
	}
}

// TestShippedModels compares what ships with the whole set.
func TestShippedModels(t *testing.T) {
	set := larger(t)
	if set == "" {
		t.Skip("SKIPPED: no folder of larger fixtures: nothing compares the shipped ones with them")
	}
	shipped := 0
	for _, name := range Models {
		if !exists(archiveOf(t, "fixtures/"+name)) {
			continue
		}
		shipped++
		whole := filepath.Join(set, "fixtures", name)
		entries, err := os.ReadDir(whole)
		if err != nil {
			t.Fatal(err)
		}
		dir := Model(t, name)
		for _, e := range entries {
			if !bytes.Equal(read(t, filepath.Join(dir, e.Name())), read(t, filepath.Join(whole, e.Name()))) {
				t.Errorf("%s/%s differs from the whole set", name, e.Name())
			}
		}
	}
	if shipped == 0 {
		t.Error("no model ships")
	}
}

// TestMissing asks for a fixture of a set that lacks it.
func TestMissing(t *testing.T) {
	set := t.TempDir()
	t.Setenv(Env, set)
	if got := larger(t); got != set {
		t.Errorf("the set is %q, want what %s names", got, Env)
	}
	failed := make(chan bool)
	go func() {
		ft := &failing{TB: t}
		defer func() { failed <- ft.failed }()
		Path(ft, "fixtures/none")
	}()
	if !<-failed {
		t.Error("a fixture that the named set lacks does not fail the test")
	}
}

// failing notes that a test failed fatally.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}
