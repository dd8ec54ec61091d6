package limits

// Model is what the speed of a whole model at batch 1 is bounded by.
type Model struct {
	Name     string
	File     float64 // bytes of the tensors
	PerToken float64 // bytes of weights that each generated token reads: all but an embedding that is looked up
	Params   float64 // weights among them
	Head     float64 // weights of the output layer, which a prompt's tokens do not pass (all but the last)
	State    float64 // bytes of recurrent state, read and written by each token
	// bytes of f16 keys and values that a token adds to what later ones read; sliding windows left out
	KVPerToken float64

	Layers, Embd float64 // number and width of what is added up over ranks
}

// Models are the shapes that bounds are shown for, in Q4_K_M without MTP blocks. Bytes follow from
// the shapes and from the rules by which quantizers choose types; real files differ by their metadata.
var Models = []Model{
	{"Qwen3.6-27B", 16_536_406_016, 15.821e9, 25.625e9, 248320 * 5120, 149.625 * (1 << 20), 64 << 10, 64, 5120},
	{"Qwen3.6-35B-A3B", 21_155_768_832, 1.976e9, 2.946e9, 248320 * 2048, 62.8125 * (1 << 20), 20 << 10, 40, 2048},
	{"Qwen3.5-4B", 2_697_836_544, 2.6978e9, 4.2058e9, 248320 * 2560, 50.25 * (1 << 20), 32 << 10, 32, 2560},
	{"Qwen3-0.6B", 390_753_280, 0.3907e9, 0.596e9, 151936 * 1024, 0, 112 << 10, 28, 1024},
	{"Qwen3-4B", 2_491_323_904, 2.491e9, 4.023e9, 151936 * 2560, 0, 144 << 10, 36, 2560},
	{"Qwen3-8B", 5_021_827_072, 4.672e9, 7.568e9, 151936 * 4096, 0, 144 << 10, 36, 4096},
	{"Qwen3-32B", 19_756_174_336, 19.319e9, 31.984e9, 151936 * 5120, 0, 256 << 10, 64, 5120},
	{"Qwen3-30B-A3B", 18_550_716_416, 1.920e9, 3.042e9, 151936 * 2048, 0, 96 << 10, 48, 2048},
	{"Llama-3.1-8B", 4_912_898_048, 4.617e9, 7.505e9, 128256 * 4096, 0, 128 << 10, 32, 4096},
	{"Llama-3.1-70B", 42_512_531_456, 41.922e9, 69.503e9, 128256 * 8192, 0, 320 << 10, 80, 8192},
	{"Llama-3.1-405B", 243_061_719_296, 241.88e9, 403.752e9, 128256 * 16384, 0, 504 << 10, 126, 16384},
	{"Granite-4-H-Small", 19_473_033_216, 5.3025e9, 8.8031e9, 100352 * 4096, 36 * (4<<20 + 8448*12), 16 << 10, 40, 4096},
	{"LFM2-8B-A1B", 5_042_386_688, 0.9625e9, 1.5577e9, 65536 * 2048, 18 * 2048 * 8, 12 << 10, 24, 2048},
	{"DeepSeek-V3-Lite", 10_363_960_000, 1.6118e9, 2.4514e9, 102400 * 2048, 0, 27 * 576 * 2, 27, 2048},
	{"gpt-oss-20b", 15_792_000_000, 2.8528e9, 3.6141e9, 201088 * 2880, 0, 24 << 10, 24, 2880},
	{"gpt-oss-120b", 87_838_000_000, 4.1309e9, 5.1714e9, 201088 * 2880, 0, 36 << 10, 36, 2880},
	{"Gemma-3-27B", 16_540_125_824, 16.540e9, 27.009e9, 262144 * 5376, 0, 80 << 10, 62, 5376},
	{"Gemma-4-31B", 18_671_228_928, 18.671e9, 30.697e9, 262144 * 5376, 0, 80 << 10, 60, 5376},
}

// TokenBytes returns the bytes that must cross the memory bus for one generated token after context tokens: the
// weights, the state twice, and the keys and values.
func (m Model) TokenBytes(context int) float64 {
	return m.PerToken + 2*m.State + m.KVPerToken*float64(context)
}

// Decode returns the tokens per second of one sequence that g cannot exceed without speculation.
func (m Model) Decode(g GPU, context int) float64 { return g.GBps * 1e9 / m.TokenBytes(context) }

// Prefill returns the tokens per second of a long prompt that g cannot exceed with f16 or bf16 matrix
// instructions: two operations per weight, attention left out.
func (m Model) Prefill(g GPU) float64 { return g.Flops() / (2 * (m.Params - m.Head)) }

// Fits reports whether weights, state and the keys and values of a context fit the memory of g. What does not fit has
// no bound there. Programs need memory besides, so that little room is none.
func (m Model) Fits(g GPU, context int) bool {
	return m.File+m.State+m.KVPerToken*float64(context) <= g.GiB*(1<<30)
}
