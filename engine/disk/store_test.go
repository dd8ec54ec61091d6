package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// blob is a state.
type blob []byte

func (b blob) Bytes() int64 { return int64(len(b)) }

func (b blob) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// warnings collects what a store says.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, s)
}

// take returns what was said since.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

func open(t *testing.T, dir, identity string, budget int64) (*Store, *warnings) {
	t.Helper()
	w := &warnings{}
	s, err := Open(dir, identity, budget, w.add)
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

// load returns the state that a store has for ids.
func load(s *Store, space string, ids []int32) (state []byte, n int) {
	n = s.Load(space, ids, func(r io.Reader, bytes int64) (err error) {
		state, err = io.ReadAll(io.LimitReader(r, bytes))
		return err
	})
	return state, n
}

func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(p string) bool { return filepath.Base(p) == lockName })
}

// TestOutlives finds states again after the end of the store, of their identity and space alone.
func TestOutlives(t *testing.T) {
	dir := t.TempDir()
	ids := []int32{1, 2, 3, 4, 5}
	s, w := open(t, dir, "a", 1<<20)
	s.KeepWait(t.Context(), "key", ids, 5, blob("state of five"))
	s.KeepWait(t.Context(), "key", ids[:3], 3, blob("state of three"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		identity, space string
		ids             []int32
		want            string
		n               int
	}{
		{"a", "key", []int32{1, 2, 3, 4, 5, 6}, "state of five", 5},
		{"a", "key", []int32{1, 2, 3, 4, 6}, "state of three", 3},
		{"a", "key", []int32{1, 2, 6}, "", 0},
		{"a", "", ids, "", 0},
		{"a", "another key", ids, "", 0},
		{"b", "key", ids, "", 0},
	} {
		s, _ := open(t, dir, c.identity, 1<<20)
		if n := s.Find(c.space, c.ids); n != c.n {
			t.Errorf("%+v: found %d", c, n)
		}
		if got, n := load(s, c.space, c.ids); string(got) != c.want || n != c.n {
			t.Errorf("%+v: got %q of %d", c, got, n)
		}
		s.Close()
	}
	if said := w.take(); said != nil {
		t.Errorf("warnings %q", said)
	}
	for _, path := range files(t, dir) {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, st.Mode(), err)
		}
	}
}

// TestInUse lets one process have the folder.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, "a", 1<<20)
	if _, err := Open(dir, "a", 1<<20, new(warnings).add); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, want ErrInUse", err)
	}
	other, _ := open(t, dir, "b", 1<<20) // another model
	other.Close()
	s.Close()
	s, _ = open(t, dir, "a", 1<<20)
	s.Close()
}

// TestBudget removes the files that were used least recently, also when a store is opened with less.
func TestBudget(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, "a", 2500)
	for i := range int32(5) {
		s.KeepWait(t.Context(), "", []int32{i}, 1, blob(make([]byte, 600)))
	}
	s.Close()
	if got := len(files(t, dir)); got != 3 {
		t.Errorf("%d files of about 800 bytes in a budget of 2500", got)
	}
	if s.Find("", []int32{1}) != 0 || s.Find("", []int32{4}) != 1 {
		t.Error("the youngest made room")
	}
	s, _ = open(t, dir, "a", 1000)
	if n, bytes := s.Len(); n != 1 || bytes > 1000 || len(files(t, dir)) != 1 {
		t.Errorf("%d files of %d bytes in a budget of 1000", n, bytes)
	}
	s.Close()
}

// TestDamage changes, cuts and extends files in many places. No damaged state is ever returned, the file is gone with
// a warning, and the store goes on.
func TestDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(18, 5))
	want := make([]byte, 3000)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	ids := []int32{1, 2, 3, 4}
	const places = 60
	for i := range places + 3 {
		dir := t.TempDir()
		s, _ := open(t, dir, "a", 1<<20)
		s.KeepWait(t.Context(), "", ids, 4, blob(want))
		s.Close()
		path := files(t, dir)[0]
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		what := ""
		switch i {
		case places:
			what, b = "empty", nil
		case places + 1:
			what, b = "longer", append(b, 0)
		case places + 2:
			what, b = "of another kind", []byte(strings.Repeat("a model ", 100))
		default:
			at := rng.IntN(len(b))
			if i%4 == 0 {
				at = rng.IntN(300) // in the header
			}
			if i%3 == 0 {
				what, b = fmt.Sprintf("cut at %d", at), b[:at]
			} else {
				what = fmt.Sprintf("another byte at %d", at)
				b[at] ^= 1 << rng.IntN(8)
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, w := open(t, dir, "a", 1<<20)
		if got, n := load(s, "", ids); n != 0 {
			t.Errorf("%s: %d bytes of a state of %d tokens", what, len(got), n)
		}
		if said := w.take(); len(said) != 1 || !strings.Contains(said[0], "removed") {
			t.Errorf("%s: warnings %q", what, said)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("%s: %q is left", what, left)
		}
		s.KeepWait(t.Context(), "", ids, 4, blob(want))
		s.Close()
		s, _ = open(t, dir, "a", 1<<20)
		if got, n := load(s, "", ids); n != 4 || !bytes.Equal(got, want) {
			t.Errorf("%s: after it, %d bytes of %d tokens", what, len(got), n)
		}
		s.Close()
	}
}

// TestForeign removes states of others under our names, and rests of writes, and leaves alone what is not ours.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	a, _ := open(t, dir, "a", 1<<20)
	a.KeepWait(t.Context(), "", []int32{1}, 1, blob("a"))
	a.Close()
	b, _ := open(t, dir, "b", 1<<20)
	b.Close()
	from := files(t, dir)[0]
	theirs, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"x.state": theirs, "y.tmp": []byte("half"),
		"notes.txt": []byte("mine")} {
		if err := os.WriteFile(filepath.Join(b.dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, w := open(t, dir, "b", 1<<20)
	if _, n := load(b, "", []int32{1}); n != 0 {
		t.Error("a state of another identity was loaded")
	}
	b.Close()
	if said := w.take(); len(said) != 1 || !strings.Contains(said[0], "another model") {
		t.Errorf("warnings %q", said)
	}
	if left := files(t, dir); len(left) != 2 || !slices.Contains(left, from) ||
		!slices.Contains(left, filepath.Join(b.dir, "notes.txt")) {
		t.Errorf("%q are left", left)
	}
}

// TestWriteFails leaves nothing of a state that cannot be written.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	s, w := open(t, dir, "a", 1<<20)
	s.KeepWait(t.Context(), "", []int32{1}, 1, broken{})
	s.Close()
	if said := w.take(); len(said) != 1 || !strings.Contains(said[0], "no more") {
		t.Errorf("warnings %q", said)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

type broken struct{}

func (broken) Bytes() int64 { return 100 }

func (broken) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(make([]byte, 50))
	return int64(n), errors.Join(err, errors.New("no more"))
}

// TestKeepWaitEnds does not wait for a writer that is stuck.
func TestKeepWaitEnds(t *testing.T) {
	s, _ := open(t, t.TempDir(), "a", 1<<20)
	stuck := stuckState{make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	for i := range int32(queued + 1) {
		s.KeepWait(ctx, "", []int32{i}, 1, stuck)
	}
	s.Keep("", []int32{90}, 1, stuck)
	cancel()
	s.KeepWait(ctx, "", []int32{91}, 1, stuck)
	close(stuck.wait)
	s.Close()
	if n, _ := s.Len(); n < queued+1 {
		t.Errorf("%d states were written, want %d", n, queued+1)
	}
}

type stuckState struct{ wait chan struct{} }

func (stuckState) Bytes() int64 { return 0 }

func (s stuckState) WriteTo(io.Writer) (int64, error) {
	<-s.wait
	return 0, nil
}

// FuzzHeader reads no file of what is none, and no header that does not come back as it was.
func FuzzHeader(f *testing.F) {
	h := header{ids: []int32{1, 2, 3}, floor: 2, state: 7}
	f.Add(h.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(bytes.NewReader(b), sha256.New())
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if e := h.encode(); !bytes.HasPrefix(b, e) {
			t.Fatalf("%x is read as %x", b, e)
		}
	})
}
