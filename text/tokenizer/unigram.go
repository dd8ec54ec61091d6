package tokenizer

import (
	"math"
	"unicode/utf8"
)

// unigram is the model step of ModelUnigram: of all ways to cut a word into tokens, the one whose scores, logarithms of
// probabilities, have the largest sum (Kudo 2018, arXiv 1804.10959). A character without a token of its own costs 10
// more than the worst token; neighbours of that kind are unknown together.
type unigram struct {
	ids     map[string]int32
	scores  []float32
	longest int // bytes of the longest token
	unk     int32
	unkCost float64
}

// unkPenalty is by how much an unknown character is worse than the worst token, as in SentencePiece.
const unkPenalty = 10

func newUnigram(v *Vocab) *unigram {
	m := &unigram{ids: formable(v), scores: v.Scores, unk: v.UNK}
	least := math.Inf(1)
	for text, id := range m.ids {
		m.longest = max(m.longest, len(text))
		least = min(least, float64(v.Scores[id]))
	}
	m.unkCost = least - unkPenalty
	return m
}

// best is how the best way to cut a beginning of a word ends.
type best struct {
	score float64
	begin int   // of its last token; -1: there is none
	id    int32 // of its last token, -1 for a character without one
}

func (m *unigram) encode(dst []int32, word string, _ *merger) []int32 {
	ends := make([]best, len(word)+1)
	for i := range ends {
		ends[i].begin = -1
	}
	for at := 0; at < len(word); {
		_, width := utf8.DecodeRuneInString(word[at:])
		take := func(end int, score float64, id int32) {
			if score += ends[at].score; ends[end].begin < 0 || score > ends[end].score {
				ends[end] = best{score, at, id}
			}
		}
		single := false
		for end := at + width; end <= min(len(word), at+m.longest); {
			if id, ok := m.ids[word[at:end]]; ok {
				take(end, float64(m.scores[id]), id)
				single = single || end == at+width
			}
			if end == len(word) {
				break
			}
			_, n := utf8.DecodeRuneInString(word[end:])
			end += n
		}
		if !single {
			take(at+width, m.unkCost, -1)
		}
		at += width
	}
	n := len(dst)
	for end := len(word); end > 0; end = ends[end].begin {
		id := ends[end].id
		if id < 0 {
			if id = m.unk; id < 0 || len(dst) > n && dst[len(dst)-1] == id {
				continue
			}
		}
		dst = append(dst, id)
	}
	for i, j := n, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}
