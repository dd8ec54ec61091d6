package opship

import (
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// planner is a device that can plan and nothing else, of 96 compute units.
func planner(target string) *Device {
	return &Device{opt: Options{kernels: kernels}, target: NewTarget(target, 96),
		info: ops.Info{Name: "planner", Buckets: true}}
}

// launchesOf returns what a step of a model of real shape launches.
func launchesOf(t *testing.T, shape string, n models.Sizes) []string {
	t.Helper()
	s, err := synth.Lookup(shape)
	must(t, err)
	meta, err := s.Meta(convert.Q4_K_M)
	must(t, err)
	infos, err := s.Tensors(convert.Q4_K_M)
	must(t, err)
	src := &tiny.Source{Infos: map[string]gguf.TensorInfo{}}
	for _, info := range infos {
		src.Infos[info.Name] = info
	}
	m, err := models.New(meta)
	must(t, err)
	names, err := runner.Launches(planner("gfx1100"), m, src, runner.Options{Context: 4096}, n)
	must(t, err)
	return names
}

// prefixed returns how many names start with prefix.
func prefixed(names []string, prefix string) (n int) {
	for _, s := range names {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// TestLaunches bounds the launches of a token of models of real shape: each costs some microseconds.
func TestLaunches(t *testing.T) {
	for _, c := range []struct {
		shape     string
		max       int
		attention int // layers, which have a launch before attention, and it
		promptMax int
	}{
		{"8b", 222, 36, 383},
		{"27b", 342, 16, 773},
		{"35b-a3b", 256, 10, 606},
	} {
		token := launchesOf(t, c.shape, models.Sizes{Tokens: 1, Seqs: 1, Pages: 32, Rows: 1})
		prompt := launchesOf(t, c.shape, models.Sizes{Tokens: 512, Seqs: 1, Pages: 32, Rows: 1})
		packs := prefixed(token, "mul_mat_x_")
		t.Logf("%s: a token takes %d launches, %d of them packs; a prompt of 512 tokens %d", c.shape, len(token),
			packs, len(prompt))
		if len(token) > c.max || packs != 0 || len(prompt) > c.promptMax {
			t.Errorf("%s: a token takes %d launches, at most %d wanted, %d of them packs, want none; a prompt takes %d, at most %d wanted",
				c.shape, len(token), c.max, packs, len(prompt), c.promptMax)
		}
		appends, attends := prefixed(token, "norm_rope_append_"), prefixed(token, "attention_")
		if others := prefixed(token, "rope") + prefixed(token, "rms_norm_rope") +
			prefixed(token, "kv_append"); appends != c.attention || attends != c.attention || others != 0 {
			t.Errorf("%s: %d launches before attention, %d of attention, want %d; %d of what the first do", c.shape,
				appends, attends, c.attention, others)
		}
		if testing.Verbose() {
			by := map[string]int{}
			for _, s := range token {
				by[s]++
			}
			t.Log(by)
		}
	}
}

// TestPacksAreShared packs a value once for all products that read it in the same form, also by views, and again in
// another form; and what is another value again.
func TestPacksAreShared(t *testing.T) {
	const k = 256
	product := func(g *ops.Graph, x ops.Value, dt tensor.DType) ops.Value {
		w := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{32, k}}
		w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
		return ops.MulMat(g, x, g.Weight(w))
	}
	experts := func(g *ops.Graph, x ops.Value) ops.Value {
		w := tensor.Tensor{Name: "w", DType: quant.Q8_0, Shape: tensor.Shape{4, 32, k}}
		w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
		m := x.Shape()[0]
		return ops.MulMatExperts(g, ops.Reshape(g, x, m, 1, k), g.Weight(w), g.Input("ids", tensor.I32, m, 2))
	}
	for _, c := range []struct {
		name   string
		tokens int
		record func(g *ops.Graph, x ops.Value) []ops.Value
		want   string
	}{
		{"three products", 1, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), product(g, x, quant.Q6_K), product(g, x, quant.Q8_0)}
		}, "x_q24 mixed_dot1"},
		{"six products", 1, func(g *ops.Graph, x ops.Value) (ys []ops.Value) {
			for range 6 {
				ys = append(ys, product(g, x, quant.Q8_0))
			}
			return ys
		}, "x_q24 q8_0_dot1 q8_0_dot1"},
		{"views", 1, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0),
				product(g, ops.Reshape(g, ops.Reshape(g, x, 1, 2, k/2), 1, k), quant.Q8_0)}
		}, "x_q24 q8_0_dot1 q8_0_dot1"},
		{"another value", 1, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), product(g, ops.SiLU(g, x), quant.Q8_0),
				product(g, x, quant.Q8_0)}
		}, "x_q24 q8_0_dot1 silu_f32 x_q24 q8_0_dot1"},
		{"another form", 40, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), product(g, x, tensor.BF16), product(g, x, quant.Q8_0),
				product(g, x, tensor.BF16)}
		}, "x_f16 q8_0_mma64k x_bf16 bf16_mma"},
		{"with what rounding takes", 40, func(g *ops.Graph, x ops.Value) []ops.Value {
			y := product(g, x, quant.Q8_0)
			g.Exact = true
			return []ops.Value{y, product(g, x, quant.Q8_0), product(g, x, quant.Q8_0)}
		}, "x_f16 q8_0_mma64k x_f16 q8_0_mma"},
		{"experts", 40, func(g *ops.Graph, x ops.Value) []ops.Value {
			return []ops.Value{product(g, x, quant.Q8_0), experts(g, x), experts(g, x)}
		}, "x_f16 q8_0_mma64k experts_sort experts_q8_0_mma experts_sort experts_q8_0_mma"},
		{"a state", 1, func(g *ops.Graph, _ ops.Value) []ops.Value {
			x := g.State(tensor.Tensor{Name: "x", DType: tensor.F32, Shape: tensor.Shape{1, k}})
			return []ops.Value{product(g, x, quant.Q8_0), product(g, x, quant.Q8_0)}
		}, "x_q24 q8_0_dot1 x_q24 q8_0_dot1"},
	} {
		g := &ops.Graph{}
		x := g.Input("x", tensor.F32, c.tokens, k)
		nodes := len(g.Nodes)
		outs := c.record(g, x)
		names, err := planner("gfx1100").launches(g, outs...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.ReplaceAll(strings.Join(names, " "), "mul_mat_", ""); got != c.want {
			t.Errorf("%s: launches are %s, want %s", c.name, got, c.want)
		}
		for _, n := range g.Nodes[nodes:] {
			if n.Op == packOp || n.Op == ops.MulMatOp && len(n.In) != 2 {
				t.Errorf("%s: compiling changed the graph itself: %v", c.name, n)
			}
		}
	}
}

// TestPacksLive keeps a pack until the last product that reads it, and then leaves its memory to others.
func TestPacksLive(t *testing.T) {
	const k = 1 << 16
	g := &ops.Graph{}
	w := tensor.Tensor{Name: "w", DType: quant.Q8_0, Shape: tensor.Shape{32, k}}
	w.Layout = LayoutOf(ops.WeightUse{DType: w.DType, Shape: w.Shape})
	x, wv := g.Input("x", tensor.F32, 1, k), g.Weight(w)
	y := ops.MulMat(g, x, wv)
	for range 3 {
		x = ops.SiLU(g, x)
		y = ops.Add(g, y, ops.MulMat(g, x, wv))
	}
	l, err := planner("gfx1100").lower(g, []ops.Value{y})
	must(t, err)
	last := map[ops.Value]int{}
	for _, n := range l.g.Nodes {
		for _, v := range n.In {
			last[v] = n.ID
		}
	}
	made := 0
	for i, n := range l.g.Nodes {
		if n.ID != i {
			t.Fatalf("node %d has number %d", i, n.ID)
		}
		if n.Op != packOp {
			continue
		}
		made++
		v := n.Result(0)
		from, to := l.arena.Offset[v], l.arena.Offset[v]+n.Attrs.(packForm).bytes()
		for _, o := range l.g.Nodes {
			if o.Op == nil || o == n || o.ID < n.ID || o.ID > last[v] {
				continue
			}
			if at := l.arena.Offset[o.Result(0)]; at < to && at+int64(4*o.Out[0].Shape.Elems()) > from {
				t.Errorf("%v is written over %v, which is read later", o, n)
			}
		}
	}
	if pack := int64(3*k + k/4); made != 4 || l.bytes() > 2*4*k+2*pack || l.scratch != 0 {
		t.Errorf("%d packs of %d bytes, in an arena of %d with %d of scratch memory", made, pack, l.bytes(), l.scratch)
	}
}
