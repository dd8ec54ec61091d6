package opship

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// Transfers of all sizes around those of slots arrive, interleaved, in order.
func TestTransfers(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
	}{
		{"small", []int{1, 63, 64, 65, 4000}},
		{"nothing", []int{0, 5, 0}},
		{"one slot", []int{slotBytes}},
		{"slot and a bit", []int{slotBytes + 1, 3}},
		{"not aligned at the end", []int{slotBytes - 1, 100}},
		{"longer than the ring", []int{100, slotCount*slotBytes + 77, 5}},
		{"twice the ring", []int{2*slotCount*slotBytes + 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name == "twice the ring" {
				t.Skip("SKIPPED: -short leaves the longest transfer to make emulator")
			}
			d, rt := fakeDevice(t, Options{})
			s, err := d.Stream()
			if err != nil {
				t.Fatal(err)
			}
			r := rand.NewChaCha8([32]byte{1})
			for round := range 2 { // the second starts with used rings
				var sent, got [][]byte
				var places []tensor.Tensor
				for _, n := range c.sizes {
					b := make([]byte, n)
					r.Read(b)
					buf, err := d.Alloc(int64(n), ops.MemState)
					if err != nil {
						t.Fatal(err)
					}
					p := tensor.Tensor{Name: "t", DType: tensor.I8, Shape: tensor.Shape{max(n, 1)}, Buf: buf}
					scratch := bytes.Clone(b)
					if err := s.Upload(p, scratch); err != nil {
						t.Fatal(err)
					}
					clear(scratch) // Upload must have copied it
					sent, places, got = append(sent, b), append(places, p), append(got, make([]byte, n))
				}
				for i, p := range places {
					if err := s.Download(got[i], p); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i := range sent {
					if !bytes.Equal(sent[i], got[i]) {
						t.Errorf("round %d: transfer %d of %d bytes differs", round, i, len(sent[i]))
					}
					closing(t, places[i].Buf.Free)
				}
			}
			closing(t, s.Close)
			closing(t, d.Close)
			if n := rt.Live(); n != 0 {
				t.Errorf("%d runtime objects were not released", n)
			}
		})
	}
}

// A large upload starts before all of it has been copied, and waits only when the ring is full.
func TestUploadIsPipelined(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	n := (slotCount + 2) * slotBytes
	buf, err := d.Alloc(int64(n), ops.MemWeights)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, buf.Free)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	rt.Calls()
	if err := s.Upload(tensor.Tensor{DType: tensor.I8, Shape: tensor.Shape{n}, Buf: buf},
		make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	calls := strings.Join(rt.Calls(), " ")
	if got, want := strings.Count(calls, "CopyToDevice"), slotCount+1; got != want {
		t.Errorf("%d copies were started, want %d: %s", got, want, calls)
	}
	if got := strings.Count(calls, "SyncEvent"); got != 2 {
		t.Errorf("waited %d times, want 2: %s", got, calls)
	}
	if strings.Contains(calls, "SyncStream") {
		t.Errorf("waited for the whole stream: %s", calls)
	}
}

func TestStreamErrors(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	other, _ := fakeDevice(t, Options{})
	defer closing(t, other.Close)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	buf, err := d.Alloc(16, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Alloc(16, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, foreign.Free)
	place := func(b tensor.Buffer, n int, off int64) tensor.Tensor {
		return tensor.Tensor{Name: "kv", DType: tensor.I8, Shape: tensor.Shape{n}, Buf: b, Off: off}
	}
	g := &ops.Graph{}
	closed, err := d.Compile(g, nil, ops.Scale(g, g.Input("x", tensor.F32, 2), 2))
	if err != nil {
		t.Fatal(err)
	}
	closing(t, closed.Close)
	closing(t, closed.Close)
	foreignPlan, err := other.Compile(g, nil, ops.Scale(g, g.Input("x2", tensor.F32, 2), 2))
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, foreignPlan.Close)
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"too long for the tensor", s.Upload(place(buf, 8, 0), make([]byte, 9)),
			[]string{`"kv"`, "9 bytes in a tensor of 8"}},
		{"outside of the buffer", s.Upload(place(buf, 8, 9), make([]byte, 8)),
			[]string{`"kv"`, "8 bytes at 9", "buffer of 16"}},
		{"negative offset", s.Download(make([]byte, 8), place(buf, 8, -1)), []string{"8 bytes at -1"}},
		{"of another device", s.Download(make([]byte, 8), place(foreign, 8, 0)), []string{`"kv"`, "another device"}},
		{"without a buffer", s.Upload(place(nil, 8, 0), make([]byte, 8)), []string{"another device"}},
		{"bad type", s.Upload(tensor.Tensor{Name: "kv", Shape: tensor.Shape{4}, Buf: buf}, nil),
			[]string{"not registered"}},
		{"closed plan", s.Run(closed), []string{"closed"}},
		{"plan of another device", s.Run(foreignPlan), []string{"another device"}},
		{"plan of another backend", s.Run(nil), []string{"another device"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, c.err, c.want...) })
	}
	t.Run("device error", func(t *testing.T) {
		fault := &hiprt.Error{Call: "hipStreamSynchronize", Code: 700, Name: "hipErrorIllegalAddress",
			Meaning: "an illegal memory access", Async: true}
		got := []byte{1, 2}
		if err := s.Download(got, place(buf, 2, 0)); err != nil {
			t.Fatal(err)
		}
		rt.Fail["SyncStream"] = []error{fault}
		err := s.Sync(t.Context())
		wantError(t, err, "hip:0", "hipStreamSynchronize", "hipErrorIllegalAddress (700)", "illegal memory access",
			"earlier asynchronous call")
		var e *hiprt.Error
		if !errors.As(err, &e) || e.Code != 700 {
			t.Errorf("the runtime's error is not found in %v", err)
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Errorf("the next synchronization fails too: %v", err)
		}
		if !bytes.Equal(got, []byte{1, 2}) {
			t.Errorf("a failed download was delivered: %v", got)
		}
	})
	t.Run("freed", func(t *testing.T) {
		closing(t, buf.Free)
		wantError(t, s.Upload(place(buf, 2, 0), []byte{1}), "freed")
		wantError(t, buf.Free(), "freed twice")
	})
	t.Run("closed stream", func(t *testing.T) {
		closing(t, s.Close)
		closing(t, s.Close)
		wantError(t, s.Sync(t.Context()), "stream is closed")
	})
}

// blockingRuntime holds SyncStream up.
type blockingRuntime struct {
	hiprt.Runtime
	gate chan struct{}
}

func (r blockingRuntime) SyncStream(s hiprt.Stream) error {
	<-r.gate
	return r.Runtime.SyncStream(s)
}

// A cancelled Sync returns at once; the work goes on and a later Sync delivers it.
func TestSyncCancelled(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	gate := make(chan struct{}, 16)
	d.rt = blockingRuntime{d.rt, gate}
	gate <- struct{}{} // for Alloc
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	buf, err := d.Alloc(4, ops.MemState)
	if err != nil {
		t.Fatal(err)
	}
	place := tensor.Tensor{DType: tensor.I8, Shape: tensor.Shape{4}, Buf: buf}
	got := make([]byte, 4)
	if err := errors.Join(s.Upload(place, []byte{1, 2, 3, 4}), s.Download(got, place)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want that of the context", err)
	}
	for range 8 {
		gate <- struct{}{}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("downloaded %v", got)
	}
	closing(t, s.Close)
	closing(t, buf.Free)
	closing(t, d.Close)
	wantError(t, func() error { _, err := d.Alloc(1, ops.MemState); return err }(), "closed")
}

// A decode step does not allocate in this package: upload, run, download, synchronize.
func TestStepDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("SKIP: sync.Pool allocates under the race detector")
	}
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	d.rt = quietRuntime{d.rt}
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s.Close)
	g := &ops.Graph{}
	x := g.Input("x", tensor.F32, 4)
	p, err := d.Compile(g, nil, ops.Add(g, ops.Scale(g, x, 2), x))
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, p.Close)
	in, _ := p.Input("x")
	data, got := raw([]float32{1, 2, 3, 4}), make([]byte, 16)
	ctx := t.Context()
	step := func() {
		if s.Upload(in, data) != nil || s.Run(p) != nil || s.Download(got, p.Output(0)) != nil || s.Sync(ctx) != nil {
			t.Fatal("step failed")
		}
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

// quietRuntime does nothing where the fake allocates.
type quietRuntime struct{ hiprt.Runtime }

func (quietRuntime) CopyToDevice(hiprt.Ptr, []byte, hiprt.Stream) error { return nil }
func (quietRuntime) CopyToHost([]byte, hiprt.Ptr, hiprt.Stream) error   { return nil }
func (quietRuntime) LaunchGraph(hiprt.Graph, hiprt.Stream) error        { return nil }
func (quietRuntime) SyncStream(hiprt.Stream) error                      { return nil }

// TestUploadsThatContinue makes one copy of uploads of which each starts where the one before ended, in one buffer and
// with nothing between them.
func TestUploadsThatContinue(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	a, err := d.Alloc(256, ops.MemState)
	must(t, err)
	defer closing(t, a.Free)
	b, err := d.Alloc(256, ops.MemState)
	must(t, err)
	defer closing(t, b.Free)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	at := func(buf tensor.Buffer, off int64, n int) tensor.Tensor {
		return tensor.Tensor{DType: tensor.I8, Shape: tensor.Shape{n}, Buf: buf, Off: off}
	}
	whole := at(a, 0, 256)
	for _, c := range []struct {
		name   string
		to     []tensor.Tensor
		copies int
	}{
		{"one behind the other", []tensor.Tensor{at(a, 4, 4), at(a, 8, 12), at(a, 20, 100)}, 1},
		{"a gap", []tensor.Tensor{at(a, 0, 4), at(a, 5, 4), at(a, 9, 4)}, 2},
		{"over each other", []tensor.Tensor{at(a, 0, 8), at(a, 4, 4)}, 2},
		{"two buffers", []tensor.Tensor{at(a, 252, 4), at(b, 0, 4)}, 2},
	} {
		must(t, s.Zero(whole))
		rt.Calls()
		want := make([]byte, 256)
		for i, dst := range c.to {
			piece := bytes.Repeat([]byte{byte(i + 1)}, dst.Shape[0])
			must(t, s.Upload(dst, piece))
			if dst.Buf == a {
				copy(want[dst.Off:], piece)
			}
		}
		got := make([]byte, 256)
		must(t, s.Download(got, whole))
		must(t, s.Sync(t.Context()))
		if !bytes.Equal(got, want) {
			t.Errorf("%s: memory is % x", c.name, got)
		}
		if n := strings.Count(strings.Join(rt.Calls(), " "), "CopyToDevice"); n != c.copies {
			t.Errorf("%s: %d copies, want %d", c.name, n, c.copies)
		}
	}
}

// TestDownloadsThatContinue makes one copy of downloads of which each starts where the one before ended.
func TestDownloadsThatContinue(t *testing.T) {
	d, rt := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	a, err := d.Alloc(256, ops.MemState)
	must(t, err)
	defer closing(t, a.Free)
	b, err := d.Alloc(256, ops.MemState)
	must(t, err)
	defer closing(t, b.Free)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	at := func(buf tensor.Buffer, off int64, n int) tensor.Tensor {
		return tensor.Tensor{DType: tensor.I8, Shape: tensor.Shape{n}, Buf: buf, Off: off}
	}
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	must(t, s.Upload(at(a, 0, 256), data))
	must(t, s.Upload(at(b, 0, 256), data))
	must(t, s.Sync(t.Context()))
	for _, c := range []struct {
		name   string
		from   []tensor.Tensor
		copies int
	}{
		{"one behind the other", []tensor.Tensor{at(a, 4, 4), at(a, 8, 12), at(a, 20, 100)}, 1},
		{"a gap", []tensor.Tensor{at(a, 0, 4), at(a, 5, 4), at(a, 9, 4)}, 2},
		{"over each other", []tensor.Tensor{at(a, 0, 8), at(a, 4, 4)}, 2},
		{"two buffers", []tensor.Tensor{at(a, 252, 4), at(b, 0, 4)}, 2},
	} {
		rt.Calls()
		var got [][]byte
		for _, src := range c.from {
			got = append(got, make([]byte, src.Shape[0]))
			must(t, s.Download(got[len(got)-1], src))
		}
		must(t, s.Sync(t.Context()))
		for i, src := range c.from {
			if want := data[src.Off:][:src.Shape[0]]; !bytes.Equal(got[i], want) {
				t.Errorf("%s: download %d is % x, want % x", c.name, i, got[i], want)
			}
		}
		if n := strings.Count(strings.Join(rt.Calls(), " "), "CopyToHost"); n != c.copies {
			t.Errorf("%s: %d copies, want %d", c.name, n, c.copies)
		}
	}
}

// TestTopKIsOneDownload: ids and values of the largest logits lie one behind the other.
func TestTopKIsOneDownload(t *testing.T) {
	d, err := Open("emu:gfx1100")
	must(t, err)
	defer closing(t, d.Close)
	for _, rows := range []int{1, 4} {
		g := &ops.Graph{}
		x := g.Input("x", tensor.F32, rows, 1000)
		ids, values := ops.TopK(g, ops.Add(g, x, x), 64)
		p, err := d.Compile(g, nil, ids, values)
		must(t, err)
		if gap := p.Output(1).Off - p.Output(0).Off; gap != int64(4*64*rows) {
			t.Errorf("values of %d rows lie %d bytes behind the ids", rows, gap)
		}
		closing(t, p.Close)
	}
}
