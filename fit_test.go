package hipengine

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hipengine/hipengine/internal/hubtest"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/models/hub"
)

// TestFit: what Fit says that fits can be opened with that much memory, and the next page of context cannot.
func TestFit(t *testing.T) {
	for _, kv := range []string{"f16", "q8_0"} {
		h := newHost(t, HostOptions{Device: "cpu"})
		f, err := OpenFile(Ember, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all, err := h.Fit(t.Context(), f, Options{KVType: kv}, 0)
		if err != nil || all.Context != 4096 || all.Largest != 4096 || !all.Fits() || all.Device != "cpu" {
			t.Fatalf("%+v, %v", all, err)
		}
		memory := all.Need() - all.State/2
		fit, err := h.Fit(t.Context(), f, Options{KVType: kv}, memory)
		if err != nil || fit.Need() != all.Need() || fit.Fits() || fit.Free != memory || fit.Largest < 1000 ||
			fit.Largest >= 4096 {
			t.Fatalf("%+v, %v", fit, err)
		}
		for more, fits := range map[int]bool{0: true, 64: false} {
			h := newHost(t, HostOptions{Device: "cpu", Memory: memory})
			_, err := h.Open(t.Context(), Ember, Options{KVType: kv, Context: fit.Largest + more, PrefixCache: -1})
			if (err == nil) != fits || err != nil && !errors.As(err, new(*MemoryError)) {
				t.Errorf("%s: %d tokens: %v", kv, fit.Largest+more, err)
			}
		}
		small, err := h.Fit(t.Context(), f, Options{KVType: kv, Context: 64}, 1)
		if err != nil || small.Largest != 0 || small.Weights != all.Weights || small.State >= all.State {
			t.Errorf("%+v, %v", small, err)
		}
	}
}

func TestFitRefuses(t *testing.T) {
	h := newHost(t, HostOptions{Device: "cpu"})
	f, err := OpenFile(Ember, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := h.Fit(t.Context(), f, Options{KVType: "f8"}, 0); !errors.As(err, new(*OptionError)) {
		t.Errorf("error %v", err)
	}
	if _, err := h.Fit(t.Context(), f, Options{}, -1); err == nil {
		t.Error("no error for negative memory")
	}
	if _, err := h.Fit(t.Context(), f, Options{Context: 1 << 30}, 0); err == nil {
		t.Error("no error for a context that nobody needs")
	}
}

// TestOpenRemote looks into models of a hub, as a file and as a folder, and finds what is in them here.
func TestOpenRemote(t *testing.T) {
	files := map[string][]byte{}
	read := func(name, path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	read("b-Q8_0.gguf", "internal/ember/ember-Q8_0.gguf")
	remote := func(want *File) {
		t.Helper()
		h := hubtest.New(t, files)
		got, err := OpenRemote(t.Context(), &hub.Client{Endpoint: h.URL}, hub.Ref{Owner: "a", Name: "b"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		host := newHost(t, HostOptions{Device: "cpu"})
		a, err := host.Fit(t.Context(), got, Options{}, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		b, err := host.Fit(t.Context(), want, Options{}, 1<<40)
		if err != nil || !reflect.DeepEqual(a, b) || a.Weights == 0 {
			t.Errorf("%+v there, %+v here, %v", a, b, err)
		}
	}
	here, err := OpenFile(Ember, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	remote(here)

	clear(files)
	folder := testfiles.Model(t, "qwen3")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			read(e.Name(), filepath.Join(folder, e.Name()))
		}
	}
	if here, err = OpenFile(folder, Options{}); err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	remote(here)
}
