package tiny

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// Vocab is the number of tokens that the models know.
const Vocab = 96

// Archs lists the architectures that Meta knows, with variants of one architecture as "llama/moe".
var Archs = []string{"llama", "llama/moe", "qwen2", "qwen3", "qwen3moe", "qwen35", "qwen35moe"}

// Meta returns the metadata of a small model.
func Meta(arch string) *gguf.Meta {
	name, variant, _ := strings.Cut(arch, "/")
	keys := map[string]any{
		"vocab_size": uint32(Vocab), "block_count": uint32(2), "embedding_length": uint32(64), "context_length": uint32(256),
		"feed_forward_length": uint32(96), "attention.head_count": uint32(4), "attention.head_count_kv": uint32(2),
		"attention.layer_norm_rms_epsilon": float32(1e-6), "rope.freq_base": float32(10000),
	}
	if strings.HasPrefix(name, "qwen3") {
		keys["attention.key_length"] = uint32(32) // not embedding_length / head_count
	}
	if strings.HasPrefix(name, "qwen35") {
		keys["block_count"], keys["full_attention_interval"] = uint32(4), uint32(2)
		keys["rope.dimension_count"] = uint32(8)
		keys["ssm.group_count"], keys["ssm.time_step_rank"] = uint32(2), uint32(6)
		keys["ssm.state_size"], keys["ssm.inner_size"], keys["ssm.conv_kernel"] = uint32(16), uint32(96), uint32(4)
	}
	if strings.HasSuffix(name, "moe") || variant == "moe" {
		keys["expert_count"], keys["expert_used_count"] = uint32(5), uint32(2)
		if variant != "moe" {
			keys["expert_feed_forward_length"] = uint32(32)
			delete(keys, "feed_forward_length")
		}
	}
	if name == "qwen35moe" {
		keys["expert_shared_feed_forward_length"] = uint32(64)
	}
	m := &gguf.Meta{}
	set(m, "general.architecture", name)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		set(m, name+"."+k, keys[k])
	}
	return m
}

func set(m *gguf.Meta, key string, v any) {
	if err := m.Set(key, v); err != nil {
		panic(err) // the keys and types above are all valid
	}
}

// Source is a models.Source in memory.
type Source struct {
	Infos map[string]gguf.TensorInfo
	Data  map[string][]byte
}

// Weights returns random weights for m: every tensor of the file that it can use, matrices in type dt where their
// rows are whole blocks of it, the rest in F32. The same seed gives the same weights.
func Weights(m models.Model, dt tensor.DType, seed uint64) *Source {
	s := &Source{map[string]gguf.TensorInfo{}, map[string][]byte{}}
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, spec := range m.Weights() {
		if spec.Derive != nil {
			for _, in := range spec.Inputs {
				s.add(in, tensor.F32, rng)
			}
			continue
		}
		s.add(spec, dt, rng)
	}
	return s
}

func (s *Source) add(spec models.WeightSpec, dt tensor.DType, rng *rand.Rand) {
	f, ok := dt.Format()
	if spec.Vector || !ok || spec.Shape.Last()%f.Block != 0 {
		f, _ = tensor.F32.Format()
	}
	x := make([]float32, spec.Shape.Elems())
	for i := range x {
		n := rng.NormFloat64()
		switch {
		case strings.HasSuffix(spec.Name, "norm.weight"), strings.Contains(spec.Name, "rope_f"):
			x[i] = float32(1 + 0.3*rng.Float64())
		case strings.HasSuffix(spec.Name, "ssm_a"):
			x[i] = float32(-math.Exp(n))
		case spec.Vector:
			x[i] = float32(0.3 * n)
		default:
			x[i] = float32(2 * n / math.Sqrt(float64(spec.Shape.Last())))
		}
	}
	s.Put(spec.Name, f.DType, spec.Shape, x)
}

// Put stores a tensor with the given elements.
func (s *Source) Put(name string, dt tensor.DType, shape tensor.Shape, x []float32) {
	f, ok := dt.Format()
	if !ok || f.Quant == nil {
		panic(fmt.Sprintf("tiny: no quantizer for %v", dt))
	}
	b := make([]byte, len(x)/f.Block*f.Bytes)
	f.Quant(b, x)
	s.PutBytes(name, dt, shape, b)
}

// PutBytes stores a tensor with the given contents.
func (s *Source) PutBytes(name string, dt tensor.DType, shape tensor.Shape, b []byte) {
	s.Infos[name] = gguf.TensorInfo{Name: name, DType: dt, Shape: shape, Size: int64(len(b))}
	s.Data[name] = b
}

// Remove deletes a tensor and returns what it was.
func (s *Source) Remove(name string) (gguf.TensorInfo, []byte) {
	info, b := s.Infos[name], s.Data[name]
	delete(s.Infos, name)
	delete(s.Data, name)
	return info, b
}

// Tensor describes a tensor.
func (s *Source) Tensor(name string) (gguf.TensorInfo, bool) {
	info, ok := s.Infos[name]
	return info, ok
}

// ReadTensor copies len(p) bytes from off.
func (s *Source) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	if n := copy(p, s.Data[t.Name][off:]); n < len(p) {
		return fmt.Errorf("tiny: tensor %q: %d bytes at %d, want %d", t.Name, n, off, len(p))
	}
	return nil
}
