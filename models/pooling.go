package models

import (
	"fmt"
	"slices"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/tensor/quant"
)

// PoolingType is a value of GGUF's key pooling_type: how a model was made to turn a text into one vector.
type PoolingType int

// The values.
const (
	PoolingUnspecified PoolingType = iota - 1 // the model was made for something else
	PoolingNone
	PoolingMean
	PoolingCLS
	PoolingLast
	PoolingRank // not into a vector: a head makes scores of the last token's state
)

// RankHead is the matrix that makes scores of a hidden state, [labels, n_embd], under llama.cpp's name.
const RankHead = "cls.output.weight"

// RankPoolingKey is a key of our own: which state a head scores, where that is not what llama.cpp takes for the
// architecture. Its one value is "cls", the first token's.
const RankPoolingKey = "hipengine.rank.pooling"

// RankTemplateKey is llama.cpp's key of a prompt with the places {query} and {document}.
const RankTemplateKey = "tokenizer.chat_template.rerank"

// RankTemplate is the prompt of Qwen3-Reranker, from its model card, in the form of RankTemplateKey.
const RankTemplate = `<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. ` +
	`Note that the answer can only be "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: Given a web search query, retrieve relevant passages that answer the query

<Query>: {query}

<Document>: {document}<|im_end|>
<|im_start|>assistant
<think>

</think>

`

// RanksByWords reports whether models of an architecture that rank and have no head do it by answering yes or no.
func RanksByWords(arch string) bool {
	return slices.Contains([]string{"qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe"}, arch)
}

// Pooling returns the pooling that the metadata of a model name.
func Pooling(meta *gguf.Meta) (PoolingType, error) {
	arch, err := meta.String("general.architecture")
	if err != nil {
		return 0, fmt.Errorf("models: %w", err)
	}
	k := NewKeys(meta)
	v := k.IntOr("pooling_type", int(PoolingUnspecified), int(PoolingUnspecified), int(PoolingRank))
	if err := k.Err(); err != nil {
		return 0, fmt.Errorf("models: %s: %w", arch, err)
	}
	return PoolingType(v), nil
}

// ReadRows returns rows of a source's matrix as F32, n of them from row lo on.
func ReadRows(src Source, name string, lo, n int) ([][]float32, error) {
	t, ok := src.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("models: tensor %q is missing", name)
	}
	if len(t.Shape) != 2 || lo < 0 || n < 0 || lo > t.Shape[0]-n {
		return nil, fmt.Errorf("models: tensor %q of shape %v has no rows %d to %d", name, t.Shape, lo, lo+n-1)
	}
	rows := make([][]float32, n)
	for i := range rows {
		var err error
		if rows[i], err = ReadRow(src, t, lo+i); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// ReadRow returns row i of a source's tensor as F32: what its innermost dimension holds.
func ReadRow(src Source, t gguf.TensorInfo, i int) ([]float32, error) {
	size := t.Size / int64(t.Shape.Rows())
	raw, row := make([]byte, size), make([]float32, t.Shape.Last())
	err := src.ReadTensor(t, raw, int64(i)*size)
	if err == nil {
		err = quant.Dequantize(t.DType, row, raw)
	}
	if err != nil {
		return nil, fmt.Errorf("models: row %d of tensor %q: %w", i, t.Name, err)
	}
	return row, nil
}
