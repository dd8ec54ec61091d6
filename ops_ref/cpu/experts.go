package cpu

import (
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/index"
	"github.com/hipengine/hipengine/ops_ref/internal/par"
	"github.com/hipengine/hipengine/ops_ref/internal/simd"
)

func init() {
	Register(ops.MulMatExpertsOp, bindMulMatExperts)
	Register(ops.MulMatSomeExpertsOp, bindMulMatExperts)
	Register(ops.AddExpertsOp, bindAddExperts)
	Register(ops.WeightedSumOp, bindWeightedSum)
}

// The parts of an expert's matrix that one worker takes at a time, in rows: of matrices that many tokens chose, more,
// because the worker arranges those tokens in panels first.
const (
	expertRows      = simd.TileRows
	expertPanelRows = 8 * simd.TileRows
	expertColumns   = simd.FloatColumns * simd.TileColumns // tokens in panels at a time, whole tiles with all kernels
)

// mulMatExpertsTask multiplies rows with the matrices that they chose, one expert after the other, so that the rows
// of a matrix are read once for all that chose it.
type mulMatExpertsTask struct {
	shared
	matrix    // of all experts' rows
	acts      *activations
	x, out    []float32
	ids       []int32
	experts   int
	chosen    int // experts of a token
	outs      int // rows of one expert's matrix
	perToken  bool
	some      bool // ids may be negative: none
	local     *scratch
	lists     int // where they are in local
	panels    bool
	panelAt   int // where a panel of weights, the columns and a tile of results are in local
	columnsAt int
	tileAt    int
}

func bindMulMatExperts(b *Binding) Task {
	x, w, ids := b.Call.In[0], b.Call.In[1], b.Call.In[2]
	t := &mulMatExpertsTask{matrix: newMatrix(w), x: x.F, out: b.Call.Out[0].F, ids: ids.Ints(), chosen: ids.Shape[1],
		experts: w.Shape[0], outs: w.Shape[1], perToken: x.Shape[1] == 1,
		some: b.Node.Op == ops.MulMatSomeExpertsOp}
	if t.integer {
		t.acts = b.Activations(t.f)
	} else if simd.Current() == simd.Generic {
		return nil
	}
	size := t.scratch()
	if t.panels = t.integer && len(t.ids) > fewTokens && t.f.HasPanels(t.k) &&
		!(b.Call.Invariant && simd.RoundsColumns()); t.panels {
		t.panelAt = size
		t.columnsAt = t.panelAt + t.f.PanelsBytes(1, t.k)
		t.tileAt = t.columnsAt + t.f.ColumnsBytes(expertColumns, t.k)
		size = t.tileAt + 4*simd.TileRows*expertColumns
	}
	t.lists = size
	t.local = b.Scratch(0, size+4*(t.experts+1+len(t.ids)))
	return t
}

// Run takes rows of the matrices that somebody chose.
func (t *mulMatExpertsTask) Run(w *par.Worker) error {
	check := index.CheckExperts
	if t.some {
		check = index.CheckSomeExperts
	}
	if err := check(t.ids, t.experts); err != nil {
		return err
	}
	t.clear(w)
	local := t.local.local[w.ID].b
	lists := cast.Of[int32](local[t.lists:])
	ends, users := lists[:t.experts+1], lists[t.experts+1:][:len(t.ids)]
	sortUsers(ends, users, t.ids)
	// Every worker walks the same list of parts and computes those that it takes.
	part, mine := 0, -1
	for e := range t.experts {
		chosen := users[ends[e]:ends[e+1]]
		if len(chosen) == 0 {
			continue
		}
		rows := expertRows
		if t.panels && len(chosen) > fewTokens {
			rows = expertPanelRows
		}
		for lo := 0; lo < t.outs; lo += rows {
			if mine < part {
				var ok bool
				if mine, _, ok = t.next.Take(1, len(t.ids)*t.outs); !ok {
					return nil
				}
			}
			if mine == part {
				t.part(local, e, lo, min(lo+rows, t.outs), chosen)
			}
			part++
		}
	}
	return nil
}

// clear writes the worker's share of the results of no expert.
func (t *mulMatExpertsTask) clear(w *par.Worker) {
	if !t.some {
		return
	}
	lo, hi := evenly(w, len(t.ids), max(1, elementGrain/t.outs))
	for i := lo; i < hi; i++ {
		if t.ids[i] < 0 {
			clear(t.out[i*t.outs:][:t.outs])
		}
	}
}

// sortUsers lists the places in ids that name each expert e: users[ends[e]:ends[e+1]], in rising order. Negative ids
// are left out.
func sortUsers(ends, users, ids []int32) {
	clear(ends)
	for _, e := range ids {
		if e >= 0 {
			ends[e]++
		}
	}
	var sum int32
	for e := range ends {
		sum += ends[e]
		ends[e] = sum
	}
	for i := len(ids) - 1; i >= 0; i-- {
		if e := ids[i]; e >= 0 {
			ends[e]--
			users[ends[e]] = int32(i)
		}
	}
}

// part multiplies rows lo to hi-1 of an expert's matrix with the rows of its users.
func (t *mulMatExpertsTask) part(local []byte, expert, lo, hi int, users []int32) {
	if t.panels && len(users) > fewTokens {
		lo = t.tiles(local, expert, lo, hi, users)
	}
	step := floatRows
	if t.integer {
		step = t.dotRows()
	}
	for r := lo; r < hi; r += step {
		n := min(step, hi-r)
		row := expert*t.outs + r
		if !t.integer {
			t.asFloat(t.rowsAsFloat(local, row, n), r, n, users)
			continue
		}
		var wide uint32
		if len(users) == 1 {
			u := users[0]
			wide = t.multiply(local, row, n, t.out[int(u)*t.outs+r:], n, t.acts.b[t.input(u)*t.f.ActBytes(t.k):], 1)
		} else { // converted once
			rows := t.rowsAsInteger(local, row, n)
			for _, u := range users {
				rows.dot(t.out[int(u)*t.outs+r:], n, t.acts.b[t.input(u)*t.f.ActBytes(t.k):], 1)
			}
			wide = rows.wide
		}
		t.again(local, expert, r, wide, users)
	}
}

// tiles does part's work for whole tiles of rows, through panels, and returns the first row that is left.
func (t *mulMatExpertsTask) tiles(local []byte, expert, lo, hi int, users []int32) int {
	panel, columns := local[t.panelAt:t.columnsAt], local[t.columnsAt:t.tileAt]
	tile := cast.Of[float32](local[t.tileAt:][:4*simd.TileRows*expertColumns])
	hi = lo + (hi-lo)/simd.TileRows*simd.TileRows
	for first := 0; first < len(users); first += expertColumns {
		some := users[first:min(first+expertColumns, len(users))]
		t.pack(columns, some)
		for r := lo; r < hi; r += simd.TileRows {
			w := t.rowsAsInteger(local, expert*t.outs+r, simd.TileRows)
			w.repack(panel, 0, 0, t.k)
			t.f.MulPanels(tile, simd.TileRows, panel, 1, columns, len(some), t.k, 0, t.k)
			for c, u := range some {
				copy(t.out[int(u)*t.outs+r:], tile[c*simd.TileRows:][:simd.TileRows])
			}
			t.again(local, expert, r, w.wide, some)
		}
	}
	return hi
}

// pack writes the activations of users as columns.
func (t *mulMatExpertsTask) pack(columns []byte, users []int32) {
	if simd.RoundsColumns() {
		for c, u := range users {
			simd.Rounded.PackFloats(columns, t.x[t.input(u)*t.k:][:t.k], c)
		}
		return
	}
	size := t.f.ActBytes(t.k)
	var acts [simd.TileColumns][]byte
	for c := 0; c < len(users); c += len(acts) {
		n := min(len(acts), len(users)-c)
		for i, u := range users[c:][:n] {
			acts[i] = t.acts.b[t.input(u)*size:][:size]
		}
		t.f.PackColumns(columns, acts[:n], c, len(users), t.k)
	}
}

// again computes the rows from r on of which wide has a bit as floating-point numbers.
func (t *mulMatExpertsTask) again(local []byte, expert, r int, wide uint32, users []int32) {
	for ; wide != 0; r, wide = r+1, wide>>1 {
		if wide&1 != 0 {
			t.asFloat(t.rowsAsFloat(local, expert*t.outs+r, 1), r, 1, users)
		}
	}
}

// input returns the row of x that place u of ids multiplies.
func (t *mulMatExpertsTask) input(u int32) int {
	if t.perToken {
		return int(u) / t.chosen
	}
	return int(u)
}

// asFloat multiplies n rows w, outputs r to r+n-1, with the rows of users.
func (t *mulMatExpertsTask) asFloat(w simd.Matrix, r, n int, users []int32) {
	for _, u := range users {
		simd.MulFloat(t.out[int(u)*t.outs+r:], n, w, n, t.x[t.input(u)*t.k:], t.k, 1, t.k)
	}
}

// addExpertsTask adds the biases of chosen experts.
type addExpertsTask struct {
	fixed
	x, bias, out []float32
	ids          []int32
	experts, n   int
}

func bindAddExperts(b *Binding) Task {
	bias := b.Call.In[1]
	return &addExpertsTask{x: b.Call.In[0].F, bias: bias.F, out: b.Call.Out[0].F, ids: b.Call.In[2].Ints(),
		experts: bias.Shape[0], n: bias.Shape[1]}
}

// Run adds to the worker's rows.
func (t *addExpertsTask) Run(w *par.Worker) error {
	if err := index.CheckExperts(t.ids, t.experts); err != nil {
		return err
	}
	lo, hi := evenly(w, len(t.ids), max(1, elementGrain/t.n))
	for i := lo; i < hi; i++ {
		simd.Add.Apply(t.out[i*t.n:][:t.n], t.x[i*t.n:][:t.n], t.bias[int(t.ids[i])*t.n:][:t.n], 0, 0)
	}
	return nil
}

// weightedSumTask adds rows with weights.
type weightedSumTask struct {
	fixed
	x, weights, out []float32
	k, n            int
}

func bindWeightedSum(b *Binding) Task {
	x := b.Call.In[0]
	return &weightedSumTask{x: x.F, weights: b.Call.In[1].F, out: b.Call.Out[0].F, k: x.Shape[1], n: x.Shape[2]}
}

// Run adds the worker's tokens.
func (t *weightedSumTask) Run(w *par.Worker) error {
	lo, hi := evenly(w, len(t.out)/t.n, max(1, elementGrain/(t.n*t.k)))
	for i := lo; i < hi; i++ {
		y := t.out[i*t.n:][:t.n]
		simd.Scale.Apply(y, t.x[i*t.k*t.n:][:t.n], t.weights[i*t.k])
		for j := 1; j < t.k; j++ {
			simd.AddScaled.Apply(y, y, t.x[(i*t.k+j)*t.n:][:t.n], t.weights[i*t.k+j], 0)
		}
	}
	return nil
}
