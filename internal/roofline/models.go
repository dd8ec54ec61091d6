package roofline

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/synth"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/limits"
	"github.com/hipengine/hipengine/tensor"
)

// contexts are the lengths for which the speed of whole models is bounded.
var contexts = []int{0, 4096, 32768}

// rateKey names a kind of matrix product.
type rateKey struct {
	dtype   tensor.DType
	experts bool
	prompt  bool // many tokens rather than one
}

// rates are what products execute for each weight and token, without the bytes: those follow from the model.
type rates map[rateKey]limits.Counts

// add takes what a run of a matrix product counted: of the kernel that devices choose, which comes first.
func (r rates) add(one execution, counted map[string]limits.Counts) {
	key := rateKey{experts: one.op == ops.MulMatExpertsOp}
	if one.op != ops.MulMatOp && !key.experts {
		return
	}
	x, w := one.Args[0].Shape, one.Args[1]
	key.dtype, key.prompt = w.DType, x[0] > 8
	products := float64(x[0] * w.Shape[0] * w.Shape[1])
	if key.experts {
		products = float64(one.Args[2].Shape.Elems() * w.Shape[1] * w.Shape[2])
	}
	if _, known := r[key]; known || x[0] > 1 && !key.prompt {
		return
	}
	r[key] = counted[one.symbols[len(one.symbols)-1]].Times(1 / products)
}

// modelLimits prints the bounds of whole models on g: those of the sheet, and those of the kernels that ran.
func modelLimits(out io.Writer, g limits.GPU, match *regexp.Regexp, r rates) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, m := range limits.Models {
		if !match.MatchString("model/" + m.Name) {
			continue
		}
		own, err := boundProducts(g, m, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\tmodel/%s\t%.2f GB/token", g.Name, m.Name, m.TokenBytes(0)/1e9)
		for _, n := range contexts {
			if m.Fits(g, n) {
				fmt.Fprintf(w, "\tdecode at %d ≤ %.1f token/s%s", n, m.Decode(g, n), own.decode(g, m, n))
			} else {
				fmt.Fprintf(w, "\tdecode at %d does not fit", n)
			}
		}
		if m.Fits(g, 0) {
			fmt.Fprintf(w, "\tprefill ≤ %.0f token/s%s\t[%s]\n", m.Prefill(g), own.prefill(), limits.Label)
		} else {
			fmt.Fprintf(w, "\tprefill does not fit\t[%s]\n", limits.Label)
		}
	}
	return w.Flush()
}

// productBound is the time in seconds that the matrix products of a token need with the kernels that were counted,
// one after the other as a stream runs them, and the bytes of their weights. Zero where a kernel was not counted or
// the shapes are not known.
type productBound struct{ token, promptToken, bytes float64 }

// decode says what the kernels bound a token to after a context.
func (b productBound) decode(g limits.GPU, m limits.Model, context int) string {
	if b.token == 0 {
		return ""
	}
	return fmt.Sprintf(" (kernels ≤ %.1f)", 1/(b.token+(m.TokenBytes(context)-b.bytes)/(g.GBps*1e9)))
}

func (b productBound) prefill() string {
	if b.promptToken == 0 {
		return ""
	}
	return fmt.Sprintf(" (kernels ≤ %.0f)", 1/b.promptToken)
}

// boundProducts adds up the products of a model whose tensors are known.
func boundProducts(g limits.GPU, m limits.Model, r rates) (b productBound, err error) {
	shape, err := synth.Lookup(m.Name)
	if err != nil {
		return b, nil // sizes alone are known
	}
	tensors, err := shape.Tensors(convert.Q4_K_M)
	if err != nil {
		return b, err
	}
	used, experts := expertsOf(shape)
	for _, t := range tensors {
		head := t.Name == "output.weight" || shape.Tied && t.Name == "token_embd.weight"
		lookup := t.Name == "token_embd.weight" && !shape.Tied
		if len(t.Shape) < 2 || lookup || strings.HasSuffix(t.Name, "ssm_conv1d.weight") {
			continue
		}
		share, key := 1.0, rateKey{dtype: t.DType}
		if len(t.Shape) == 3 {
			share, key.experts = used/experts, true
		}
		products := share * float64(t.Shape.Elems())
		one, ok := r[key]
		if !ok {
			return productBound{}, nil
		}
		one = one.Times(products)
		one.Bytes = share * float64(t.Size)
		b.token += one.On(g).Seconds()
		b.bytes += one.Bytes
		if head {
			continue // of a prompt, only the last token passes it
		}
		key.prompt = true
		many, ok := r[key]
		if !ok {
			return productBound{}, nil
		}
		many = many.Times(products)
		many.Bytes = 0 // a long prompt reads weights once
		b.promptToken += many.On(g).Seconds()
	}
	return b, nil
}

// expertsOf returns how many experts a token uses, and of how many.
func expertsOf(s synth.Shape) (used, all float64) {
	for _, k := range s.Keys {
		n, _ := k.Value.(uint32)
		switch k.Name {
		case "expert_used_count":
			used = float64(n)
		case "expert_count":
			all = float64(n)
		}
	}
	return used, all
}
