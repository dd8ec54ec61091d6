package hipengine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/disk"
)

// TestCacheDir closes a model and opens it again: what its folder has of a prompt is not read. The same model with
// another context has a folder of its own.
func TestCacheDir(t *testing.T) {
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	o := hipengine.Options{Context: 256, CacheDir: t.TempDir()}
	ask := func(o hipengine.Options) (text string, cached int) {
		t.Helper()
		m, err := h.Open(t.Context(), "", o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		e, err := m.Engine()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := m.EncodePrompt(strings.Repeat("Once upon a time there were three birds on a tree. ", 6))
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Submit(t.Context(), engine.Request{Prompt: ids, MaxTokens: 8, Decoder: m.NewStream(false)})
		if err != nil {
			t.Fatal(err)
		}
		for tok, err := range s.Tokens() {
			if err != nil {
				t.Fatal(err)
			}
			text += tok.Text
		}
		return text, s.Cached()
	}
	first, cached := ask(o)
	if cached != 0 {
		t.Errorf("%d tokens cached of the first prompt", cached)
	}
	if again, cached := ask(o); again != first || cached == 0 {
		t.Errorf("%q with %d tokens cached, first %q", again, cached, first)
	}
	longer := o
	longer.Context = 512
	if _, cached := ask(longer); cached != 0 {
		t.Errorf("%d tokens cached of a model with another context", cached)
	}

	m, err := h.Open(t.Context(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var bad *hipengine.OptionError
	if _, err := h.Open(t.Context(), "", o); !errors.As(err, &bad) || bad.Option != "CacheDir" ||
		!errors.Is(err, disk.ErrInUse) {
		t.Errorf("a folder that is in use: %v", err)
	}
	for _, o := range []hipengine.Options{
		{CacheDir: o.CacheDir, PrefixCache: -1}, {CacheDirBytes: 1 << 20}, {CacheDir: o.CacheDir, CacheDirBytes: -1},
		{CacheDir: "/dev/null/states"},
	} {
		if _, err := h.Open(t.Context(), "", o); !errors.As(err, &bad) {
			t.Errorf("%+v: %v, want an error of options", o, err)
		}
	}
	if n := len(h.Models()); n != 1 {
		t.Errorf("%d models are open", n)
	}
}
