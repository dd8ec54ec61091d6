package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// FType is a mixture of element types, by the number that the key general.file_type gives it.
type FType int32

// The mixtures, under llama.cpp's names. Those of one type are named like it.
const (
	F32      FType = 0
	F16      FType = 1
	Q4_0     FType = 2
	Q4_1     FType = 3
	Q8_0     FType = 7
	Q5_0     FType = 8
	Q5_1     FType = 9
	Q2_K     FType = 10
	Q3_K_S   FType = 11
	Q3_K_M   FType = 12
	Q3_K_L   FType = 13
	Q4_K_S   FType = 14
	Q4_K_M   FType = 15
	Q5_K_S   FType = 16
	Q5_K_M   FType = 17
	Q6_K     FType = 18
	IQ2_XXS  FType = 19
	IQ2_XS   FType = 20
	Q2_K_S   FType = 21
	IQ3_XS   FType = 22
	IQ3_XXS  FType = 23
	IQ1_S    FType = 24
	IQ4_NL   FType = 25
	IQ3_S    FType = 26
	IQ3_M    FType = 27
	IQ2_S    FType = 28
	IQ2_M    FType = 29
	IQ4_XS   FType = 30
	IQ1_M    FType = 31
	BF16     FType = 32
	TQ1_0    FType = 36
	TQ2_0    FType = 37
	MXFP4MoE FType = 38
)

// ftypes lists the mixtures with the type that most tensors get.
var ftypes = []struct {
	f    FType
	name string
	base tensor.DType
}{
	{F32, "f32", tensor.F32}, {F16, "f16", tensor.F16}, {BF16, "bf16", tensor.BF16},
	{Q8_0, "q8_0", quant.Q8_0}, {Q6_K, "q6_k", quant.Q6_K},
	{Q5_K_M, "q5_k_m", quant.Q5_K}, {Q5_K_S, "q5_k_s", quant.Q5_K}, {Q5_1, "q5_1", quant.Q5_1},
	{Q5_0, "q5_0", quant.Q5_0},
	{Q4_K_M, "q4_k_m", quant.Q4_K}, {Q4_K_S, "q4_k_s", quant.Q4_K}, {Q4_1, "q4_1", quant.Q4_1},
	{Q4_0, "q4_0", quant.Q4_0},
	{IQ4_NL, "iq4_nl", quant.IQ4_NL}, {IQ4_XS, "iq4_xs", quant.IQ4_XS}, {MXFP4MoE, "mxfp4_moe", quant.MXFP4},
	{Q3_K_L, "q3_k_l", quant.Q3_K}, {Q3_K_M, "q3_k_m", quant.Q3_K}, {Q3_K_S, "q3_k_s", quant.Q3_K},
	{IQ3_M, "iq3_m", quant.IQ3_S}, {IQ3_S, "iq3_s", quant.IQ3_S}, {IQ3_XS, "iq3_xs", quant.IQ3_S},
	{IQ3_XXS, "iq3_xxs", quant.IQ3_XXS},
	{Q2_K, "q2_k", quant.Q2_K}, {Q2_K_S, "q2_k_s", quant.Q2_K},
	{IQ2_M, "iq2_m", quant.IQ2_S}, {IQ2_S, "iq2_s", quant.IQ2_XS}, {IQ2_XS, "iq2_xs", quant.IQ2_XS},
	{IQ2_XXS, "iq2_xxs", quant.IQ2_XXS},
	{IQ1_M, "iq1_m", quant.IQ1_M}, {IQ1_S, "iq1_s", quant.IQ1_S}, {TQ2_0, "tq2_0", quant.TQ2_0},
	{TQ1_0, "tq1_0", quant.TQ1_0},
}

// aliases are shorter names that llama-quantize takes.
var aliases = map[string]string{"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}

// ParseFType returns the mixture with the given name, in any case. The error lists all names.
func ParseFType(name string) (FType, error) {
	want := strings.ToLower(name)
	if a, ok := aliases[want]; ok {
		want = a
	}
	for _, t := range ftypes {
		if t.name == want {
			return t.f, nil
		}
	}
	return 0, fmt.Errorf("convert: unknown type %q (known: %s)", name, strings.Join(FTypes(), ", "))
}

// FTypes returns the names of all mixtures, those with more bits first.
func FTypes() []string {
	var names []string
	for _, t := range ftypes {
		names = append(names, t.name)
	}
	return names
}

// String returns the name that ParseFType takes.
func (f FType) String() string {
	for _, t := range ftypes {
		if t.f == f {
			return t.name
		}
	}
	return fmt.Sprintf("FType(%d)", int32(f))
}

// base returns the type that most tensors get.
func (f FType) base() (tensor.DType, bool) {
	for _, t := range ftypes {
		if t.f == f {
			return t.base, true
		}
	}
	return tensor.Invalid, false
}

// in reports whether f is one of list.
func (f FType) in(list ...FType) bool { return slices.Contains(list, f) }
