package serve

import (
	"github.com/hipengine/hipengine/serve/openai"
)

// InfillTokens are the special tokens of a vocabulary for text between others; -1 where there is none.
type InfillTokens struct {
	Prefix, Suffix, Middle int32 // before what comes before, what comes after, and what is wanted
	Repo, File             int32 // before the name of a repository, and of a file
}

// infillPrompt returns the ids of what is around a text, in the order that models are trained with: repository and
// files, each behind its marker, then prefix, suffix and the start of the middle. What these say is no marker.
func (m *Model) infillPrompt(f *openai.Infill) ([]int32, error) {
	t := m.Infill
	if t.Prefix < 0 || t.Suffix < 0 || t.Middle < 0 || t == (InfillTokens{}) {
		return nil, notSupported("this model has no tokens for text between others")
	}
	var ids []int32
	var err error
	text := func(parts ...openai.Prompt) {
		if err == nil {
			var of []int32
			of, err = m.encode(parts, false, false)
			ids = append(ids, of...)
		}
	}
	marker := func(id int32) {
		if id >= 0 {
			ids = append(ids, id)
		}
	}
	if t.Repo >= 0 && len(f.Extra) > 0 {
		marker(t.Repo)
		text(openai.Prompt{Text: "project\n"})
	}
	for _, x := range f.Extra {
		name := x.Name
		if name == "" {
			name = "file"
		}
		marker(t.File)
		text(openai.Prompt{Text: name + "\n" + x.Text})
	}
	if len(f.Extra) > 0 {
		marker(t.File)
		text(openai.Prompt{Text: "file\n"})
	}
	bos, err2 := m.Tokenizer.EncodePrompt("")
	if err2 != nil {
		return nil, err2
	}
	ids = append(ids, bos...)
	marker(t.Prefix)
	text(f.Prefix...)
	marker(t.Suffix)
	text(f.Suffix...)
	marker(t.Middle)
	text(openai.Prompt{Text: f.Prompt})
	return ids, err
}
