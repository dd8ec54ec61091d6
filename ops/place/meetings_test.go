package place_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/conformance"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
	opsref "github.com/hipengine/hipengine/ops_ref"
	"github.com/hipengine/hipengine/tensor"
)

// meetOp is what a rank does of an all-reduce, on devices that meet while their plans run.
var meetOp = &ops.Def{Name: "test_meet", Infer: func(n *ops.Node) error {
	n.Out = []ops.Type{n.In[0].Type()}
	return nil
}}

type meetAttrs struct {
	at   *meetingPoint
	rank int
}

func init() { opsref.Register(meetOp, meet[float32], meet[float64]) }

func meet[T opsref.Float](c *opsref.Call[T]) error {
	a := c.Attrs.(meetAttrs)
	var part []float32
	for i := range c.In[0].Shape.Rows() {
		for _, x := range c.In[0].Row(i, nil) {
			part = append(part, float32(x))
		}
	}
	sum, err := a.at.add(a.rank, part)
	if err != nil {
		return err
	}
	w := c.Out[0].Shape.Last()
	for i := range c.Out[0].Shape.Rows() {
		row := c.Out[0].Row(i, nil)
		for j := range row {
			row[j] = T(sum[i*w+j])
		}
	}
	return nil
}

// meetingPoint is where ranks leave their parts until all are there.
type meetingPoint struct {
	mu    sync.Mutex
	delay func(rank int) time.Duration
	parts [][]float32
	here  int
	done  chan struct{}
	sum   []float32
	meets int
}

func (m *meetingPoint) add(rank int, part []float32) ([]float32, error) {
	if m.delay != nil {
		time.Sleep(m.delay(rank))
	}
	m.mu.Lock()
	if m.done == nil {
		m.done = make(chan struct{})
	}
	done := m.done
	m.parts[rank] = part
	if m.here++; m.here == len(m.parts) {
		m.sum = append([]float32(nil), m.parts[0]...)
		for _, p := range m.parts[1:] {
			for i := range m.sum {
				m.sum[i] += p[i]
			}
		}
		m.here, m.done = 0, nil
		m.meets++
		close(done)
	}
	m.mu.Unlock()
	select {
	case <-done:
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("rank %d waits for others", rank)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum, nil // nobody leaves the next part before all have run what reads this sum
}

func (m *meetingPoint) AllReduce(g *ops.Graph, rank int, part ops.Value) (ops.Value, bool) {
	return g.Add(meetOp, meetAttrs{m, rank}, part)[0], true
}

func (m *meetingPoint) Close() error { return nil }

// meeter is a CPU whose plans can meet those of others.
type meeter struct {
	ops.Device
	at *meetingPoint
}

func (d meeter) Caps() ops.Caps {
	c := d.Device.Caps()
	c.Ranks = func(devs []ops.Device) (ops.Ranks, error) {
		d.at.parts = make([][]float32, len(devs))
		return d.at, nil
	}
	return c
}

func newMeeters(tb testing.TB, n int) (*place.Device, *meetingPoint) {
	at := &meetingPoint{}
	var parts []ops.Device
	for range n {
		parts = append(parts, meeter{newCPU(tb), at})
	}
	d := newPlace(tb, place.ByRank, parts...)
	tb.Cleanup(func() { d.Close() })
	return d, at
}

// TestMeeting runs split models whose ranks meet while their plans run.
func TestMeeting(t *testing.T) {
	t.Parallel()
	var at *meetingPoint
	match := `^Model/.*/ranks=`
	if testing.Short() {
		match = `^Model/(cohere2|qwen35moe)/ranks=`
	}
	conformance.TestDevice(t, func(tb testing.TB) (d ops.Device) {
		d, at = newMeeters(tb, 2)
		return d
	}, conformance.Options{NoSkip: true, Match: regexp.MustCompile(match)})
	if at == nil || at.meets < 10 {
		t.Errorf("ranks have met %d times", at.meets)
	}
}

// TestAllReduceRounds compares many all-reduces with sums in float64, with parts that come late at random: copied and
// met, over two to four ranks.
func TestAllReduceRounds(t *testing.T) {
	t.Parallel()
	rounds := 10000
	if testing.Short() {
		rounds = 50
	}
	for _, c := range []struct {
		ranks int
		met   bool
	}{{2, false}, {2, true}, {3, true}, {4, false}} {
		t.Run(fmt.Sprintf("ranks=%d/met=%v", c.ranks, c.met), func(t *testing.T) {
			t.Parallel()
			var d *place.Device
			if c.met {
				var at *meetingPoint
				d, at = newMeeters(t, c.ranks)
				at.delay = func(rank int) time.Duration {
					return time.Duration(rand.IntN(3)) * 20 * time.Microsecond
				}
			} else {
				var parts []ops.Device
				for range c.ranks {
					parts = append(parts, newCPU(t))
				}
				d = newPlace(t, place.ByRank, parts...)
			}
			runRounds(t, d, c.ranks, rounds)
		})
	}
}

// runRounds runs a plan of two all-reduces that follow each other.
func runRounds(t *testing.T, d *place.Device, ranks, rounds int) {
	const width = 24
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := &ops.Graph{}
	parts := make([]ops.Value, ranks)
	for r := range parts {
		w := tensor.Tensor{Name: fmt.Sprintf("ones@%d", r), DType: tensor.F32, Shape: tensor.Shape{width}}
		on, err := d.Caps().Place(ops.WeightUse{Name: w.Name, DType: w.DType, Shape: w.Shape}, ops.MemWeights)
		if err != nil {
			t.Fatal(err)
		}
		if w.Buf, err = on.Alloc(4*width, ops.MemWeights); err != nil {
			t.Fatal(err)
		}
		defer w.Buf.Free()
		if err := s.Upload(w, floats(width, func(int) float32 { return 1 })); err != nil {
			t.Fatal(err)
		}
		parts[r] = ops.Mul(g, g.Input(fmt.Sprintf("x%d", r), tensor.F32, 2, width), g.Weight(w))
	}
	once := ops.AllReduce(g, parts...)
	for r := range parts {
		parts[r] = ops.Add(g, once[r], parts[r])
	}
	twice := ops.AllReduce(g, parts...)
	p, err := d.Compile(g, nil, twice...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	rnd := rand.New(rand.NewPCG(1, uint64(ranks)))
	for round := range rounds {
		want := make([]float64, 2*width)
		for r := range ranks {
			in, _ := p.Input(fmt.Sprintf("x%d", r))
			x := make([]float32, 2*width)
			for i := range x {
				x[i] = float32(rnd.NormFloat64())
				want[i] += float64(x[i]) * float64(ranks+1)
			}
			if err := s.Upload(in, floats(len(x), func(i int) float32 { return x[i] })); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Run(p); err != nil {
			t.Fatal(err)
		}
		got := make([][]byte, ranks)
		for r := range got {
			got[r] = make([]byte, 8*width)
			if err := s.Download(got[r], p.Output(r)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		for r, b := range got {
			if string(b) != string(got[0]) {
				t.Fatalf("round %d: rank %d holds other bits than rank 0", round, r)
			}
		}
		for i, w := range want {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[0][4*i:])))
			if math.Abs(x-w) > 1e-5*float64(ranks*ranks) {
				t.Fatalf("round %d: element %d is %v, want %v", round, i, x, w)
			}
		}
	}
}

func floats(n int, x func(i int) float32) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x(i)))
	}
	return b
}
