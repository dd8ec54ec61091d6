package gguf

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// ggmlNames lists the element types that GGML defines, by id. A file may hold types whose format this program
// does not register; the names are for the message.
var ggmlNames = map[uint32]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
	12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
	29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}

// removedNames lists the ids that GGML once used and no longer reads. Repacked layouts (Q4_0_4_4 and its kin)
// are now made at load time from the plain type.
var removedNames = map[uint32]string{
	4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
	36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
}

// ikFirst is the lowest id of the types that exist in ik_llama.cpp alone (ggml/include/ggml.h of
// ikawrakow/ik_llama.cpp). GGML counts upward from 0 and has not reached it.
const ikFirst = 97

var ikNames = map[uint32]string{
	133: "Q6_0", 134: "IQ1_BN", 135: "IQ2_BN", 136: "Q8_K64", 137: "IQ2_K", 138: "IQ3_K", 139: "IQ4_K",
	140: "IQ5_K", 141: "IQ6_K", 142: "IQ2_TN", 143: "IQ1_TN", 144: "IQ4_KS", 145: "IQ2_KS", 146: "IQ4_KSS",
	147: "Q8_K16", 148: "Q8_K32", 149: "Q8_KR8", 150: "Q8_K128", 151: "Q8_KV", 152: "IQ5_KS", 153: "IQ2_KT",
	154: "IQ3_KT", 155: "IQ4_KT", 156: "IQ3_KS", 157: "IQ2_KL", 158: "IQ1_KT",
	202: "Q4_0_R8", 206: "Q5_0_R4", 208: "Q8_0_R8", 210: "Q2_K_R4", 211: "Q3_K_R4", 212: "Q4_K_R4",
	213: "Q5_K_R4", 214: "Q6_K_R4", 216: "IQ2_XXS_R4", 217: "IQ2_XS_R4", 218: "IQ3_XXS_R4", 219: "IQ1_S_R4",
	220: "IQ4_NL_R4", 221: "IQ3_S_R4", 222: "IQ2_S_R4", 223: "IQ4_XS_R8", 229: "IQ1_M_R4", 230: "BF16_R16",
	233: "Q6_0_R4", 335: "IQ2_BN_R4", 337: "IQ2_K_R4", 338: "IQ3_K_R4", 339: "IQ4_K_R4", 340: "IQ5_K_R4",
	344: "IQ4_KS_R4", 352: "IQ5_KS_R4", 398: "Q8_KV_R8", 399: "Q8_K_R8",
}

// dtypeOf returns the registered type of a GGML id, or an error that says why there is none.
func dtypeOf(id uint32) (tensor.DType, error) {
	if d, ok := tensor.FromGGML(id); ok {
		return d, nil
	}
	if name, ok := ggmlNames[id]; ok {
		return tensor.Invalid, fmt.Errorf("element type %s (id %d) has no registered format in this program", name, id)
	}
	if name, ok := removedNames[id]; ok {
		return tensor.Invalid, fmt.Errorf("element type %s (id %d) was removed from GGML; convert the model again",
			name, id)
	}
	if name, ok := ikNames[id]; ok {
		return tensor.Invalid, fmt.Errorf("element type %s (id %d) exists in ik_llama.cpp only", name, id)
	}
	if id >= ikFirst && id <= 399 {
		return tensor.Invalid, fmt.Errorf("element type id %d lies in the private range of ik_llama.cpp", id)
	}
	return tensor.Invalid, fmt.Errorf("unknown element type id %d", id)
}
