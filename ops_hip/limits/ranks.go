package limits

// Link joins two cards.
type Link struct {
	Name       string
	GBps       float64 // nominal, each way, in 10^9 bytes per second
	Efficiency float64 // part of it that writes to the other card reach
	Micro      float64 // microseconds that an all-reduce of nothing takes, the launch included
	Source     string
}

// Links are those that consumer boards offer for two cards.
var Links = []Link{
	{"PCIe 4.0 x16", 31.5, 0.85, 10, "PCI-SIG (16 GT/s a lane, 128b/130b); assumptions (efficiency, all-reduce)"},
	{"PCIe 4.0 x8", 15.75, 0.85, 10, "PCI-SIG (16 GT/s a lane, 128b/130b); assumptions (efficiency, all-reduce)"},
}

// AllReduceSeconds is how long two cards take to add so many bytes of each: either way at the same time.
func (l Link) AllReduceSeconds(bytes float64) float64 {
	return 1e-6*l.Micro + bytes/(l.Efficiency*l.GBps*1e9)
}

// allReduces returns how many times a step adds what the ranks have made, and the bytes of a token each time: behind
// both halves of each layer, as floats.
func (m Model) allReduces() (times, bytes float64) { return 2 * m.Layers, 4 * m.Embd }

// DecodeOnTwo returns the tokens per second of one sequence on two cards of which each has half of every matrix, head
// and cache, with memory at the rate that has been seen. What the cards send does not overlap with what they read.
func (m Model) DecodeOnTwo(g GPU, l Link, context int) float64 {
	times, bytes := m.allReduces()
	return 1 / (m.TokenBytes(context)/2/(g.Efficiency*g.GBps*1e9) + times*l.AllReduceSeconds(bytes))
}

// PrefillOnTwo is Prefill on two cards of which each has half of every matrix, for steps of so many tokens. Matrix
// instructions are taken to reach the given part of their rate, on one card as on two.
func (m Model) PrefillOnTwo(g GPU, l Link, tokens, reached float64) float64 {
	times, bytes := m.allReduces()
	return tokens / (tokens/(2*reached*m.Prefill(g)) + times*l.AllReduceSeconds(bytes*tokens))
}

// PrefillOverlapped is PrefillOnTwo where the cards add one half of the tokens while they compute with the other: what
// takes longer is all that counts, but for the first half of the first block. Elements that cross have the given bytes.
func (m Model) PrefillOverlapped(g GPU, l Link, tokens, reached, elem float64) float64 {
	times, _ := m.allReduces()
	compute := tokens / (2 * reached * m.Prefill(g)) / times / 2
	add := l.AllReduceSeconds(elem * m.Embd * tokens / 2)
	return tokens / (2*times*max(compute, add) + min(compute, add))
}
