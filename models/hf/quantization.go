package hf

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Quantized checkpoints. config.json names the method in quantization_config; which modules are quantized, and how each
// of them, follows from the tensors that are there: those of modules_to_not_convert, ignore and exclude_modules are
// plain ones. Parts of one module become one tensor before anything else looks at them.

// quantizationMethods are those that are read, with what reads the settings of each.
var quantizationMethods = map[string]func(b *builder, q *config){
	"mxfp4":      func(*builder, *config) {},
	"fp8":        (*builder).fp8Blocks,
	"fbgemm_fp8": func(*builder, *config) {},
	"gptq":       func(b *builder, q *config) { b.gptq = readGPTQ(q) },
	"awq":        func(b *builder, q *config) { b.awqGroup = awqGroup(q) },
	"modelopt":   modelOpt, "modelopt_fp4": modelOpt,
	"compressed-tensors": (*builder).compressedTensors,
}

// quantization reads quantization_config and refuses what cannot be read.
func (b *builder) quantization() {
	q := b.cfg.sub("quantization_config")
	if q == nil {
		q = b.cfg.sub("compression_config") // compressed-tensors before it had that name
	}
	if q == nil {
		q = b.modelOptFile()
	}
	if q == nil {
		return
	}
	b.method = q.str("quant_method")
	read := quantizationMethods[b.method]
	switch {
	case *q.err != nil:
	case b.method == "bitsandbytes":
		q.fail("%squant_method %q is not read: its weights are in blocks of their own library; "+
			"save the model dequantized, or take the original", q.path, b.method)
	case read == nil:
		q.fail("%squant_method %q is not read (%s are)", q.path, clip(b.method),
			strings.Join(sortedKeys(quantizationMethods), ", "))
	default:
		read(b, q)
	}
}

// fp8Blocks reads the settings of FP8 as DeepSeek and Qwen publish it.
func (b *builder) fp8Blocks(q *config) {
	if size := q.floats("weight_block_size"); size != nil {
		b.blockSizes(q, "weight_block_size", size)
	}
}

// modelOptAlgos are the algorithms of ModelOpt that are read.
var modelOptAlgos = []string{"FP8", "NVFP4", "MIXED_PRECISION", "FP8_PER_CHANNEL_PER_TOKEN"}

func modelOpt(_ *builder, q *config) {
	if algo := q.str("quant_algo"); !slices.Contains(modelOptAlgos, algo) {
		q.fail("%squant_algo %q is not read (%s are)", q.path, clip(algo), strings.Join(modelOptAlgos, ", "))
	}
}

// modelOptFile returns what hf_quant_config.json, which ModelOpt writes, says, as quantization_config would; nil if it
// is not there.
func (b *builder) modelOptFile() *config {
	const name = "hf_quant_config.json"
	root, err := readObject(b.dir, name)
	if err != nil {
		b.fail("%w", err)
	}
	if root == nil {
		return nil
	}
	c := &config{file: name, objs: []object{root}, err: b.cfg.err}
	q := c.sub("quantization")
	if q == nil || q.str("quant_algo") == "" { // none, or of the cache alone
		return nil
	}
	q.objs[0]["quant_method"] = "modelopt"
	return q
}

// unpack replaces the parts of each quantized module by one tensor with the name of plain weights.
func (b *builder) unpack() {
	for _, name := range sortedKeys(b.stored) {
		if b.err != nil {
			return
		}
		t := b.stored[name]
		switch module, part := splitName(name); {
		case t == nil:
		case part == "qweight" && b.method == "gptq":
			b.unpackIntegers(module, "GPTQ", func() (*integers, error) {
				return gptq(b.gptq, t, b.part(module, "qzeros"), b.part(module, "scales"), b.optional(module, "g_idx"))
			}, "qweight", "qzeros", "scales", "g_idx")
		case part == "qweight" && b.method == "awq":
			b.unpackIntegers(module, "AWQ", func() (*integers, error) {
				return awq(b.awqGroup, t, b.part(module, "qzeros"), b.part(module, "scales"))
			}, "qweight", "qzeros", "scales")
		case part == "weight_packed" && t.dtype == "I32":
			b.unpackIntegers(module, "packed integers", func() (*integers, error) {
				return packedIntegers(b.packedBits, t, b.part(module, "weight_shape"), b.part(module, "weight_scale"),
					b.optional(module, "weight_zero_point"), b.optional(module, "weight_g_idx"))
			}, "weight_packed", "weight_shape", "weight_scale", "weight_zero_point", "weight_g_idx")
		case part == "weight" && t.dtype == "I8" && b.method != "":
			b.unpackIntegers(module, "8-bit integers", func() (*integers, error) {
				return bytes8(t, b.part(module, "weight_scale"), b.optional(module, "weight_zero_point"))
			}, "weight", "weight_scale", "weight_zero_point")
		case part == "weight_packed" && b.optional(module, "weight_global_scale") != nil:
			b.unpackModule(module, "NVFP4", func() (*matrix, error) {
				return nvfp4(t, b.part(module, "weight_scale"), b.part(module, "weight_global_scale"),
					func(x float32) float32 { return 1 / x })
			}, "weight_packed", "weight_scale", "weight_global_scale")
		case part == "weight_packed":
			b.unpackModule(module, "MXFP4", func() (*matrix, error) {
				return packedMXFP4(t, b.part(module, "weight_scale"))
			}, "weight_packed", "weight_scale")
		case part == "weight" && t.dtype == "U8" && b.optional(module, "weight_scale_2") != nil:
			b.unpackModule(module, "NVFP4", func() (*matrix, error) {
				return nvfp4(t, b.part(module, "weight_scale"), b.part(module, "weight_scale_2"),
					func(x float32) float32 { return x })
			}, "weight", "weight_scale", "weight_scale_2")
		}
	}
}

// splitName cuts the last part off a tensor's name.
func splitName(name string) (module, part string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

// part returns a tensor of a quantized module. A missing or empty one is an error; what is returned then has no
// elements.
func (b *builder) part(module, name string) *stored {
	if t := b.take(module + "." + name); t != nil {
		return t
	}
	return &stored{name: module + "." + name, shape: []int{0}}
}

// optional is part for a tensor that may be missing, which is nil.
func (b *builder) optional(module, name string) *stored {
	if !b.has(module + "." + name) {
		return nil
	}
	return b.part(module, name)
}

// unpackIntegers adds the weights of a module of integers.
func (b *builder) unpackIntegers(module, label string, read func() (*integers, error), parts ...string) {
	b.unpackModule(module, label, func() (*matrix, error) {
		x, err := read()
		if err != nil {
			return nil, err
		}
		dtype, err := x.presented()
		if err != nil {
			return nil, err
		}
		return x.matrix(dtype, &b.unpacked), nil
	}, parts...)
}

// unpackModule adds the weights of a module, which read makes of its parts.
func (b *builder) unpackModule(module, label string, read func() (*matrix, error), parts ...string) {
	m, err := read()
	if b.err != nil {
		return // of a part that is missing, whatever became of the others
	}
	if err != nil {
		b.fail("%w", err)
		return
	}
	for _, p := range parts {
		delete(b.stored, module+"."+p)
	}
	name := module + ".weight"
	if b.has(name) {
		b.fail("tensor %q is there beside %q", name, module+"."+parts[0])
		return
	}
	b.stored[name] = &stored{name: name, dtype: label, shape: []int{m.rows, m.cols}, made: m}
}

// noteRounding tells for each kind of quantized weights what it became, and what that loses: measured on some rows of
// the first tensor.
func (b *builder) noteRounding() {
	kept, rounded := map[string]int{}, map[string][]string{}
	for _, name := range sortedKeys(b.entries) {
		e := b.entries[name]
		switch {
		case e.quantized == "":
		case e.exact == e.data, e.data.factors != nil:
			kept[fmt.Sprintf("%s: kept as %v, exactly", e.quantized, e.info.DType)]++
		default:
			rounded[e.quantized] = append(rounded[e.quantized], name)
		}
	}
	for _, what := range sortedKeys(kept) {
		b.note("weights in %s (tensors: %d)", what, kept[what])
	}
	for _, what := range sortedKeys(rounded) {
		names := rounded[what]
		e := b.entries[names[0]]
		rms, n, err := roundingError(e)
		if err != nil {
			b.fail("%w", err)
			return
		}
		b.note("weights in %s: rounded to %v (tensors: %d), with a relative RMS error of %.2g in %d values of %s; "+
			"types to quantize to are made from the exact values", what, e.info.DType, len(names), rms, n, names[0])
	}
}

// roundingError measures the error of an entry's data relative to what is exact, on its first n values.
func roundingError(e *entry) (rms float64, n int, err error) {
	const most = 1 << 16
	rows := min(e.data.rows, max(1, most/e.data.cols))
	n = rows * e.data.cols
	got, want := make([]float32, n), make([]float32, n)
	if err := e.data.floats(got, 0, rows); err != nil {
		return 0, 0, err
	}
	if err := e.exact.floats(want, 0, rows); err != nil {
		return 0, 0, err
	}
	var diff, sum float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff, sum = diff+d*d, sum+float64(w)*float64(w)
	}
	if sum == 0 {
		return 0, n, nil
	}
	return math.Sqrt(diff / sum), n, nil
}
