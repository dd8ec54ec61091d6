package tokenizer

// PairAffixes are the ids round two texts that belong together.
type PairAffixes struct{ Before, Between, After []int32 }

// EncodePair returns the ids of two texts, which texts of special tokens in them are part of, as the vocabulary puts
// two together: that is how encoders read a question and a document.
func (t *Tokenizer) EncodePair(a, b string) ([]int32, error) {
	p := t.v.Pair
	if p == nil { // each as if it were alone
		p = &PairAffixes{t.prefix, t.suffix, t.suffix}
	}
	out := append([]int32{}, p.Before...)
	for i, text := range []string{a, b} {
		ids, err := t.Encode(text, Options{})
		if err != nil {
			return nil, err
		}
		if i == 1 {
			out = append(out, p.Between...)
		}
		out = append(out, ids...)
	}
	return append(out, p.After...), nil
}
