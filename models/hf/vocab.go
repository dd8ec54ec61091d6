package hf

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// maxTemplate bounds a chat template, in bytes.
const maxTemplate = 4 << 20

// readVocab reads the tokenizer and fits it to a model whose logits have size entries: ids that the embedding has
// and the tokenizer lacks become unused tokens, tokens beyond the embedding are dropped.
func (b *builder) readVocab(dir string, size int) (tokenizer.Vocab, error) {
	data, err := readFile(dir, "tokenizer.json", tokenizer.MaxTokenizerJSON)
	if err != nil {
		return tokenizer.Vocab{}, err
	}
	if data == nil {
		return tokenizer.Vocab{},
			errors.New("tokenizer.json is missing (tokenizer.model and vocab.json are not read: save the tokenizer as a fast one)")
	}
	config, err := readFile(dir, "tokenizer_config.json", tokenizer.MaxTokenizerJSON)
	if err != nil {
		return tokenizer.Vocab{}, err
	}
	v, err := tokenizer.FromHF(data, quoteNonFinite(config))
	if err != nil {
		return v, err
	}
	b.notes, v.Notes = append(b.notes, v.Notes...), nil
	if n := len(v.Tokens); n > size {
		b.note("%d tokens beyond the %d rows of the embedding are dropped", n-size, size)
		if err := b.cutVocab(&v, size); err != nil {
			return v, err
		}
	}
	for i := range size {
		if i == len(v.Tokens) {
			v.Tokens, v.Types = append(v.Tokens, ""), append(v.Types, tokenizer.Unused)
			if v.Scores != nil {
				v.Scores = append(v.Scores, 0)
			}
		}
		if v.Types[i] == tokenizer.Unused && v.Tokens[i] == "" {
			v.Tokens[i] = fmt.Sprintf("[PAD%d]", i)
		}
	}
	return v, nil
}

// cutVocab drops tokens from size on. Of special tokens those alone must stay that texts or answers need.
func (b *builder) cutVocab(v *tokenizer.Vocab, size int) error {
	v.Tokens, v.Types = v.Tokens[:size], v.Types[:size]
	if v.Scores != nil {
		v.Scores = v.Scores[:size]
	}
	for id := range v.Attrs {
		if int(id) >= size {
			delete(v.Attrs, id)
		}
	}
	for _, p := range []struct {
		name string
		id   *int32
	}{{"unknown", &v.UNK}, {"padding", &v.PAD}} {
		if int(*p.id) >= size {
			b.note("the %s token %d has no row in the embedding of %d; it is left out", p.name, *p.id, size)
			*p.id = -1
		}
	}
	for _, id := range slices.Concat([]int32{v.BOS, v.EOS}, v.Prefix, v.Suffix) {
		if int(id) >= size {
			return fmt.Errorf("tokenizer.json: special token %d has no row in the embedding of %d", id, size)
		}
	}
	return nil
}

// readGeneration reads generation_config.json: ids that end a generation, and sampling defaults. The ids of
// config.json serve where the tokenizer names none.
func (b *builder) readGeneration(dir string, v *tokenizer.Vocab) (o sample.Overrides, err error) {
	root, err := readObject(dir, "generation_config.json")
	if err != nil {
		return o, err
	}
	size := len(v.Tokens)
	eos := b.eosIDs(b.cfg, size)
	if root != nil {
		b.noteDropped(root)
		g := newConfig("generation_config.json", root)
		if ids := b.eosIDs(g, size); ids != nil {
			eos = ids
		}
		for _, p := range []struct {
			name string
			to   **float32
		}{{"temperature", &o.Temperature}, {"top_p", &o.TopP}, {"min_p", &o.MinP},
			{"typical_p", &o.TypicalP}, {"repetition_penalty", &o.RepeatPenalty}} {
			if g.has(p.name) {
				x := float32(g.float(p.name))
				*p.to = &x
			}
		}
		if g.has("top_k") {
			k := g.int(-1, 1<<30, "top_k")
			o.TopK = &k
		}
		if !g.bool(true, "do_sample") {
			o.Temperature = new(float32) // greedy, whatever else the file names
		}
		if *g.err != nil {
			return o, *g.err
		}
		if err := o.Apply(sample.Params{}).Validate(size); err != nil {
			return o, fmt.Errorf("generation_config.json: %w", err)
		}
	}
	v.ExtraEOG = eos
	if v.EOS < 0 && len(eos) > 0 {
		v.EOS = eos[0]
	}
	return o, *b.cfg.err
}

// eosIDs reads ids that end a generation. Those outside the vocabulary are noted and left out, unless there are no
// others.
func (b *builder) eosIDs(c *config, vocab int) []int32 {
	all := c.ids(math.MaxInt32, "eos_token_id")
	kept := slices.DeleteFunc(slices.Clone(all), func(id int32) bool { return int(id) >= vocab })
	if len(kept) == 0 {
		return c.ids(vocab, "eos_token_id") // an error if there are any
	}
	if len(kept) < len(all) {
		b.note("%s: eos_token_id %v: only those below the vocabulary's %d tokens are kept", c.file, all, vocab)
	}
	return kept
}

// readTemplates returns the chat template, "" if there is none, and further ones by name.
func readTemplates(dir string) (template string, named map[string]string, err error) {
	if data, err := readFile(dir, "chat_template.jinja", maxTemplate); err != nil || data != nil {
		return string(data), nil, err
	}
	for _, file := range []string{"tokenizer_config.json", "chat_template.json"} {
		if template, named, err = readTemplatesIn(dir, file); err != nil || template != "" || named != nil {
			return template, named, err
		}
	}
	return "", nil, nil
}

// readTemplatesIn is readTemplates for one JSON file.
func readTemplatesIn(dir, file string) (template string, named map[string]string, err error) {
	root, err := readObject(dir, file)
	if err != nil {
		return "", nil, err
	}
	switch t := root["chat_template"].(type) {
	case nil:
	case string:
		return t, nil, nil
	case []any:
		named = map[string]string{}
		for i, x := range t {
			o, _ := x.(object)
			name, ok1 := o["name"].(string)
			text, ok2 := o["template"].(string)
			if !ok1 || !ok2 || name == "" {
				return "", nil, fmt.Errorf("%s: chat_template %d has no name and template", file, i)
			}
			named[name] = text
		}
		template = named["default"]
		delete(named, "default")
		return template, named, nil
	default:
		return "", nil, fmt.Errorf("%s: chat_template is neither a text nor a list", file)
	}
	return "", nil, nil
}
