package tokenizer

import "math"

// spm is the model step of ModelLlama: repeatedly merge the adjacent pair whose joined text is the token of
// the highest score. What is left without a token becomes byte tokens.
type spm struct {
	ids      map[string]int32
	scores   []float32
	longest  int // bytes of the longest token
	fallback byteFallback
}

func newSPM(v *Vocab) *spm {
	m := &spm{ids: formable(v), scores: v.Scores, fallback: newByteFallback(v)}
	for text := range m.ids {
		m.longest = max(m.longest, len(text))
	}
	return m
}

// rank implements ranker. Any two neighbours merge whose joined text is a token, whatever they are themselves.
func (m *spm) rank(g *merger, i, j int32) (key uint32, sym int32, ok bool) {
	end := len(g.text)
	if k := g.next[j]; k >= 0 {
		end = int(g.start[k])
	}
	begin := int(g.start[i])
	if end-begin > m.longest {
		return 0, 0, false
	}
	id, ok := m.ids[g.text[begin:end]]
	if !ok {
		return 0, 0, false
	}
	return descending(m.scores[id]), id, true
}

// descending maps floats to integers of the opposite order. Both zeros map alike.
func descending(f float32) uint32 {
	b := math.Float32bits(0 - f)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

func (m *spm) encode(dst []int32, word string, g *merger) []int32 {
	g.reset()
	g.text = word
	for i, c := range word {
		g.start = append(g.start, int32(i))
		g.sym = append(g.sym, missing(c))
	}
	g.run(m)
	for i := int32(0); i >= 0; i = g.next[i] {
		if s := g.sym[i]; s >= 0 {
			dst = append(dst, s)
			continue
		}
		c := -1 - g.sym[i]
		if id, ok := m.ids[string(c)]; ok {
			dst = append(dst, id)
		} else {
			dst, _ = m.fallback.appendText(dst, string(c))
		}
	}
	g.text = ""
	return dst
}
