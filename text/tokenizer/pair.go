package tokenizer

import "slices"

// PairAffixes are the ids round two texts that belong together.
type PairAffixes struct {
	Before  []int32 `json:"before"`
	Between []int32 `json:"between"`
	After   []int32 `json:"after"`
}

func (p *PairAffixes) equal(q *PairAffixes) bool {
	if p == nil || q == nil {
		return p == q
	}
	return slices.Equal(p.Before, q.Before) && slices.Equal(p.Between, q.Between) && slices.Equal(p.After, q.After)
}

// EncodePair returns the ids of two texts, which texts of special tokens in them are part of, as the vocabulary puts
// two together: that is how encoders read a question and a document. The ids of b begin at index second.
func (t *Tokenizer) EncodePair(a, b string) (out []int32, second int, err error) {
	p := t.v.Pair
	if p == nil { // each as if it were alone
		p = &PairAffixes{t.prefix, t.suffix, t.suffix}
		if slices.Contains([]string{preRoberta, preJinaV1, preJinaCode}, t.v.Pre) {
			p.Between = slices.Concat(t.suffix, t.suffix)
		}
	}
	out = append([]int32{}, p.Before...)
	for i, text := range []string{a, b} {
		ids, err := t.Encode(text, Options{})
		if err != nil {
			return nil, 0, err
		}
		if i == 1 {
			out = append(out, p.Between...)
			second = len(out)
		}
		out = append(out, ids...)
	}
	return append(out, p.After...), second, nil
}
