package convert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// Options adjust Convert and Quantize. The zero value makes F32 files on all processors.
type Options struct {
	Type FType

	// Imatrix weighs errors of columns; nil for none.
	Imatrix *Imatrix

	// AllowRequantize lets Quantize read tensors that are quantized already, whose errors then add up.
	AllowRequantize bool

	Threads int // 0: one for each processor

	// Progress, which may be nil, is told the bytes written so far and in all.
	Progress func(done, total int64)

	// Note, which may be nil, is told what the user should know about a conversion.
	Note func(string)
}

// keptF32 are the endings of names of matrices that are F32 in files of any type.
var keptF32 = []string{"_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d.weight", "ssm_conv1d_q.weight",
	"ssm_conv1d_k.weight", "ssm_conv1d_v.weight", "shortconv.conv.weight", ".ssm_a", ".ssm_d", ".bias"}

// Convert writes the Hugging Face folder dir to a GGUF file at out. Vectors, norms and routers become F32, matrices
// the type of Options; those that package hf presents in MXFP4 or NVFP4 stay so, and those in other blocks unless a
// quantized type is asked for. The quantized types take the mixtures that Quantize takes. out is replaced when the new
// file is complete; a canceled ctx leaves it alone.
func Convert(ctx context.Context, dir, out string, o Options) error {
	f, err := hf.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.Note != nil {
		for _, n := range f.Notes {
			o.Note(n)
		}
	}
	if err := f.Convertible(); err != nil {
		return fmt.Errorf("convert: %s: %w", dir, err)
	}
	if err := checkModel(f); err != nil {
		return fmt.Errorf("convert: %s: %w", dir, err)
	}
	infos := SortTensors(f.Tensors())
	types, err := folderTypes(f.Meta, infos, o)
	if err != nil {
		return err
	}
	c := &converter{src: f, imatrix: o.Imatrix, threads: threads(o.Threads), progress: o.Progress}
	if err := c.write(ctx, out, folderMeta(f.Meta, o.Type), infos, types); err != nil {
		return wrap(dir, err)
	}
	return nil
}

// wrap says which model an error is about, unless it says so itself.
func wrap(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("convert: %s: %w", name, err)
}

// checkModel finds missing and misshapen tensors, if this program knows the architecture.
func checkModel(f *hf.Folder) error {
	m, err := models.New(f.Meta)
	var unknown *models.UnknownArchError
	if errors.As(err, &unknown) {
		return nil
	}
	if err != nil {
		return err
	}
	return models.Check(m, f)
}

// folderTypes gives the tensors of a folder their types.
func folderTypes(meta *gguf.Meta, infos []gguf.TensorInfo, o Options) ([]tensor.DType, error) {
	types, err := Types(meta, infos, o.Type, o.Imatrix != nil)
	if err != nil {
		return nil, err
	}
	base, _ := o.Type.base()
	format, _ := base.Format()
	for i, t := range infos {
		switch {
		case t.DType == quant.MXFP4, t.DType == quant.NVFP4, format.Block == 1 && blocks(t.DType):
			types[i] = t.DType
		case len(t.Shape) < 2 || slices.ContainsFunc(keptF32,
			func(s string) bool { return strings.HasSuffix(t.Name, s) }):
			types[i] = tensor.F32
		case types[i] == t.DType && !quantizable(t) && format.Block == 1:
			types[i] = base
		}
	}
	return types, checkImatrix(infos, types, o)
}

// blocks reports whether d has blocks of more than one element.
func blocks(d tensor.DType) bool {
	f, _ := d.Format()
	return f.Block > 1
}

// folderMeta adds what a converter adds: the file's type behind the hyper-parameters, and the version of the formats
// at the end.
func folderMeta(meta *gguf.Meta, f FType) *gguf.Meta {
	out := &gguf.Meta{}
	set := func(key string, v any) {
		if err := out.Set(key, v); err != nil {
			panic(err) // the pair comes from a Meta
		}
	}
	for _, key := range meta.Keys() {
		if strings.HasPrefix(key, "tokenizer.") && !out.Has(keyFileType) {
			set(keyFileType, uint32(f))
		}
		v, _ := meta.Value(key)
		set(key, v)
	}
	if !out.Has(keyFileType) {
		set(keyFileType, uint32(f))
	}
	set(keyVersion, uint32(quantizationVersion))
	return out
}

const (
	keyFileType = "general.file_type"
	keyVersion  = "general.quantization_version"

	// quantizationVersion is that of the block formats since 2023.
	quantizationVersion = 2
)

// checkImatrix reports a type that cannot be made well without an importance matrix.
func checkImatrix(infos []gguf.TensorInfo, types []tensor.DType, o Options) error {
	if o.Imatrix != nil {
		return nil
	}
	for i, t := range infos {
		if t.DType == types[i] {
			continue
		}
		if quant.RequiresImatrix(types[i]) || o.Type == Q2_K_S && types[i] == quant.Q2_K &&
			t.Name != "token_embd.weight" {
			return fmt.Errorf("convert: type %v needs an importance matrix: tensor %q would become %v", o.Type, t.Name,
				types[i])
		}
	}
	return nil
}

// Quantize writes the GGUF file at in, or the split model whose first part it is, to one file at out, whose tensors
// have the types that llama-quantize gives them. Tensors that have their type already are copied. A tensor that is
// quantized otherwise is an error unless AllowRequantize is set. out is replaced when the new file is complete; a
// canceled ctx leaves it alone.
func Quantize(ctx context.Context, in, out string, o Options) error {
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	if typ, err := f.Meta.StringOr("general.type", "model"); err != nil || typ != "model" {
		return fmt.Errorf("convert: %s holds a %q, not a model", in, typ)
	}
	infos := SortTensors(f.Tensors)
	types, err := Types(f.Meta, infos, o.Type, o.Imatrix != nil)
	if err != nil {
		return wrap(in, err)
	}
	for i, t := range infos {
		if format, _ := t.DType.Format(); format.Block > 1 && types[i] != t.DType && !o.AllowRequantize {
			return fmt.Errorf("convert: %s: tensor %q is %v already; to quantize it again adds errors and must be allowed", in, t.Name, t.DType)
		}
		if _, ok := f.Tensor(strings.TrimSuffix(t.Name, "weight") + "scale"); ok && t.DType == quant.NVFP4 &&
			types[i] != t.DType {
			return fmt.Errorf("convert: %s: tensor %q is NVFP4 with a factor beside it, which other types have no "+
				"place for", in, t.Name)
		}
		if format, _ := t.DType.Format(); format.Dequant == nil && types[i] != t.DType {
			return fmt.Errorf("convert: %s: tensor %q is %v, which is no type of weights", in, t.Name, t.DType)
		}
	}
	if err := checkImatrix(infos, types, o); err != nil {
		return err
	}
	meta := f.Meta.Clone()
	for _, key := range []string{keyVersion, keyFileType, "split.no", "split.count", "split.tensors.count"} {
		meta.Delete(key)
	}
	if err := errors.Join(meta.Set(keyVersion, uint32(quantizationVersion)),
		meta.Set(keyFileType, uint32(o.Type))); err != nil {
		return wrap(in, err)
	}
	c := &converter{src: file{f}, imatrix: o.Imatrix, threads: threads(o.Threads), progress: o.Progress}
	if err := c.write(ctx, out, meta, infos, types); err != nil {
		return wrap(in, err)
	}
	return nil
}
