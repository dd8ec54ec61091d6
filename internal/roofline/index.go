package roofline

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// recorder is the plan and the stream that index data is uploaded to.
type recorder map[string][]byte // by input

type recordedPlan struct {
	ops.Plan
	recorder
}

type recordingStream struct {
	ops.Stream
	recorder
}

func (recordedPlan) Input(name string) (tensor.Tensor, bool) { return tensor.Tensor{Name: name}, true }

func (s recordingStream) Upload(dst tensor.Tensor, src []byte) error {
	s.recorder[dst.Name] = append([]byte(nil), src...)
	return nil
}

// index returns the index data of s for m, padded as devices with buckets want it, and its sizes: sequences one after
// the other, each of pages of its own.
func (s step) index(m models.Model) (models.Sizes, map[string][]byte, error) {
	var x models.Index
	windows := m.State().Windows()
	pages := (s.context + kv.PageSize - 1) / kv.PageSize
	x.Reset(windows, models.Bucket(pages), 0)
	each := s.tokens / s.seqs
	for i := range s.seqs {
		table := make([]int32, pages)
		for p := range table {
			table[p] = int32(i*pages + p)
		}
		span := models.Span{Tokens: make([]int32, each), Pos: s.context - each, Slot: i, Rows: 1}
		for k := range span.Tokens {
			span.Tokens[k] = int32(i + k)
		}
		for range windows {
			span.Tables = append(span.Tables, table)
		}
		x.Add(span)
	}
	x.Pad(s.seqs)
	got := recorder{}
	return x.Sizes(), got, x.Upload(recordingStream{recorder: got}, recordedPlan{recorder: got})
}

// stepContents returns what launches find in values of integers: index data, and for choices of experts different
// ones for each token, drawn at random. Everything else may be zeros: no kernel looks at it to decide what to
// execute.
func stepContents(index map[string][]byte, experts int) func(ops.Value) []byte {
	return func(v ops.Value) []byte {
		n := v.Node()
		if v.DType() != tensor.I32 {
			return nil
		}
		if n.Leaf == ops.Input {
			return index[n.Name]
		}
		shape := v.Shape()
		if experts == 0 || len(shape) != 2 || shape[1] > experts {
			return nil
		}
		random := rand.New(rand.NewPCG(1, uint64(shape[0])))
		var b []byte
		for range shape[0] {
			for _, e := range random.Perm(experts)[:shape[1]] {
				b = binary.LittleEndian.AppendUint32(b, uint32(e))
			}
		}
		return b
	}
}
