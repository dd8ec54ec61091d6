package hf

import (
	"fmt"
	"strings"
)

// family is what a file of this package says about models of one kind.
type family struct {
	arch   string   // general.architecture of GGUF
	models []string // entries of config.json's architectures that belong to it

	// keys writes the metadata that keys common to all families leave out. nil writes none.
	keys func(b *builder)

	// tensors adds the tensors of all layers, and what else a family has beyond embedding, output norm and output.
	tensors func(b *builder)

	// drafts returns the number of layers for speculation that stand behind the others; nil means none.
	drafts func(b *builder) int

	// Applied to output norm, embedding and output matrix; nil leaves them.
	norm, embed, output transform

	layerNorm bool // norms subtract the mean, and may have biases

	noAttention bool // there are neither heads nor a context length

	// variant returns the family of a folder, where those of one model class belong to several; nil: this one.
	variant func(c *config) family

	names names // of tensors, where they are not those of most families

	// encoder says that the model makes hidden states alone. Tensors of heads that predict tokens are left out: those
	// whose names, below the prefix or not, begin with one of skipped.
	encoder bool
	skipped []string

	// dense reads the i-th Dense module of sentence-transformers, in a folder of the model's; nil if there may be none.
	dense func(b *builder, dir, folder string, i int) error
}

// names are those of tensors, without their ending and below the prefix of the language model.
type names struct {
	embed  string // of tokens; "": embed_tokens
	norm   string // behind the last layer; "": norm
	normTo string // GGUF's name of it; "": output_norm
	output string // of the output matrix, without a prefix; "": lm_head, below several prefixes
	layers string // in front of a layer's number; "": layers
}

var families = map[string]*family{}

// register adds a family. It panics if one of its models is known already.
func register(f family) {
	for _, m := range f.models {
		if families[m] != nil {
			panic("hf: model " + m + " registered twice")
		}
		families[m] = &f
	}
}

// Models returns the model classes that [Open] knows: the names that config.json has in "architectures", sorted.
func Models() []string { return sortedKeys(families) }

// UnknownModelError reports a folder of a model class that no family has.
type UnknownModelError struct{ Model string }

func (e *UnknownModelError) Error() string {
	return fmt.Sprintf("model class %q is not known (known: %s)", clip(e.Model), strings.Join(Models(), ", "))
}

// transform makes the tensor that GGUF holds out of a stored one.
type transform func(b *builder, w weight) weight

// rule takes a stored tensor to GGUF. Names lack the prefix of the layer.
type rule struct {
	from, to string
	optional bool
	change   transform // nil: as it is
}

// linear are the rules of a projection and its bias, if it has one.
func linear(from, to string, change transform) []rule {
	return []rule{
		{from: from + ".weight", to: to + ".weight", change: change},
		{from: from + ".bias", to: to + ".bias", optional: true, change: change},
	}
}

// join concatenates lists of rules.
func join(lists ...[]rule) (out []rule) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// norms are rules for norm weights, from and to in turn.
func norms(change transform, names ...string) (out []rule) {
	for i := 0; i < len(names); i += 2 {
		out = append(out, rule{from: names[i] + ".weight", to: names[i+1] + ".weight", change: change})
	}
	return out
}

// qkvo are the projections of attention. change applies to queries and keys.
func qkvo(queries, keys transform) []rule {
	return join(
		linear("self_attn.q_proj", "attn_q", queries),
		linear("self_attn.k_proj", "attn_k", keys),
		linear("self_attn.v_proj", "attn_v", nil),
		linear("self_attn.o_proj", "attn_output", nil),
	)
}

// gatedMLP are the projections of a gated feed-forward block whose modules lie below from.
func gatedMLP(from, suffix string) []rule {
	return join(
		linear(from+".gate_proj", "ffn_gate"+suffix, nil),
		linear(from+".up_proj", "ffn_up"+suffix, nil),
		linear(from+".down_proj", "ffn_down"+suffix, nil),
	)
}

// addOne is the transform of zero-centred norms.
func addOne(_ *builder, w weight) weight {
	w.matrix = w.float(plusOne)
	return w
}

// permuted is the transform of queries and keys for interleaved rotary pairs.
func permuted(b *builder, w weight) weight { return permutedTo(b.headDim)(b, w) }

// permutedTo is permuted for heads of which the first n elements rotate.
func permutedTo(n int) transform {
	return func(b *builder, w weight) weight {
		if rows := w.shape[0]; rows%b.headDim != 0 {
			b.fail("tensor %q has %d rows, which are not heads of %d", w.name, rows, b.headDim)
			return w
		}
		pairs := interleaveHalves(n)
		w.matrix = reorder(w.matrix, func(i int) int {
			if at := i % b.headDim; at < n {
				return i - at + pairs(at)
			}
			return i
		})
		return w
	}
}

// flat drops dimensions of one element.
func flat(_ *builder, w weight) weight {
	var shape []int
	for _, n := range w.shape {
		if n != 1 {
			shape = append(shape, n)
		}
	}
	if shape == nil {
		shape = []int{1}
	}
	w.shape = shape
	return w
}
