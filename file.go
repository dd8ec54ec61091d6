package hipengine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// File is a model that is open but not loaded: a GGUF file, or a Hugging Face folder that presents itself as one. It
// takes no device, and little memory. Its methods may be called from several goroutines until Close.
type File struct {
	Text
	models.Source
	meta     *gguf.Meta
	gguf     *gguf.File // nil for a folder
	sampling sample.Overrides
	notes    []string

	samplingErr error // what is wrong with the keys of sampling
}

// OpenFile opens the model that name means (see [Find]; the empty name is [Ember]) as Host.Open would, without loading
// it. Of the options, Folder, Quant and Imatrix matter. Errors are *[NotFoundError], *[OptionError], and what is wrong
// with the file. The caller closes it.
func OpenFile(name string, o Options) (*File, error) { return openFile(name, o, 0) }

func openFile(name string, o Options, threads int) (*File, error) {
	if o.Imatrix != "" && o.Quant == "" {
		return nil, &OptionError{Option: "Imatrix", Needs: "Quant"}
	}
	if name == "" || name == ember.Name {
		g, err := ember.Open()
		if err != nil {
			return nil, err
		}
		f, err := fromGGUF(g, "", o)
		if err != nil {
			return nil, err
		}
		f.sampling = sample.Overrides{Temperature: new(float32)} // Ember was made to be read greedily
		return f, nil
	}
	path, err := Locate(name, o.Folder)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fromFolder(path, o, threads)
	}
	g, err := gguf.Open(path)
	if err != nil {
		if isModel(filepath.Dir(path)) && strings.Contains(filepath.Base(path), ".safetensors") {
			err = fmt.Errorf("%s belongs to the model %s: give that folder", filepath.Base(path), filepath.Dir(path))
		}
		return nil, err
	}
	return fromGGUF(g, path, o)
}

func fromGGUF(g *gguf.File, path string, o Options) (*File, error) {
	if o.Quant != "" {
		g.Close()
		return nil, &OptionError{Option: "Quant",
			Reason: fmt.Sprintf("%s: %s is a GGUF file and has its types already: "+
				"quantizing on load is for Hugging Face folders, hipengine quantize for files", o.Quant,
				ModelID(path))}
	}
	f := &File{Source: g, meta: g.Meta, gguf: g, Text: Text{path: path, close: g.Close,
		vocab: func() (tokenizer.Vocab, error) { return tokenizer.FromGGUF(g.Meta) }}}
	f.template, f.named, f.notes = templateKeys(g.Meta)
	f.notes = append(f.notes, unknownSampling(g.Meta)...)
	if _, err := fileType(g.Meta); err != nil {
		f.notes = append(f.notes, err.Error()+"; it is left out")
	}
	f.sampling, f.samplingErr = samplingKeys(g.Meta)
	return f, nil
}

func fromFolder(path string, o Options, threads int) (*File, error) {
	folder, err := hf.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{Source: folder, meta: folder.Meta, sampling: folder.Sampling, notes: folder.Notes,
		Text: Text{path: path, template: folder.Template, named: folder.Templates, close: folder.Close,
			vocab: func() (tokenizer.Vocab, error) { return folder.Vocab, nil }}}
	if o.Quant != "" {
		if f.Source, err = quantized(folder, o, threads); err != nil {
			folder.Close()
			return nil, err
		}
	}
	return f, nil
}

// quantized presents a folder with the types that Options.Quant asks for.
func quantized(folder *hf.Folder, o Options, threads int) (*convert.Quantized, error) {
	typ, err := convert.ParseFType(o.Quant)
	if err != nil {
		return nil, &OptionError{Option: "Quant", Err: err}
	}
	c := convert.Options{Type: typ, Threads: threads}
	if o.Imatrix != "" {
		if c.Imatrix, err = convert.ReadImatrix(o.Imatrix); err != nil {
			return nil, err
		}
	}
	return convert.NewQuantized(folder, c)
}

// Meta returns the metadata under GGUF's keys. It must not be changed.
func (f *File) Meta() *gguf.Meta { return f.meta }

// Tensors lists the weights, whatever the architecture needs of them. The result must not be changed.
func (f *File) Tensors() []gguf.TensorInfo {
	if f.gguf != nil {
		return f.gguf.Tensors
	}
	return f.Source.(interface{ Tensors() []gguf.TensorInfo }).Tensors()
}

// mapped returns the file as a source whose tensors are in the process's memory, where the system can do that.
func (f *File) mapped() (models.Source, bool) {
	if f.gguf == nil || runtime.GOOS == "windows" {
		return nil, false
	}
	for _, p := range f.gguf.Parts {
		if p.Path == "" {
			return nil, false
		}
	}
	return models.MappedSource{Source: f, Map: f.gguf.Map}, true
}

// Size returns the bytes of all parts of a GGUF file; 0 for a folder.
func (f *File) Size() (bytes int64) {
	if f.gguf != nil {
		for _, p := range f.gguf.Parts {
			bytes += p.Size
		}
	}
	return bytes
}

// Context returns how many tokens a sequence of the model may hold, as it was made.
func (f *File) Context() (int, error) {
	m, err := models.New(f.meta)
	if err != nil {
		return 0, err
	}
	return m.Params().Context, nil
}

// DraftLayer returns the bytes of the layer with which the model predicts further tokens, see [SpecMTP], as the file has
// them; 0 if it has none, or this program cannot use it.
func (f *File) DraftLayer() (bytes int64) {
	m, err := models.New(f.meta)
	if err != nil {
		return 0
	}
	d, err := models.WithDrafts(m)
	if err != nil || models.Check(d, f) != nil {
		return 0
	}
	prefix := fmt.Sprintf("blk.%d.", m.Params().Layers)
	for _, t := range f.Tensors() {
		if strings.HasPrefix(t.Name, prefix) {
			bytes += t.Size
		}
	}
	return bytes
}

// Check reports why the model cannot run: an architecture that is not known, weights that are missing or have another
// shape, a tokenizer that cannot be made, sampling parameters out of their ranges. It reads metadata alone. What a
// device says to it, [Host.Check] reports.
func (f *File) Check() error {
	_, _, err := f.parts()
	return err
}

// parts is Check, and returns what a model that can run is made of.
func (f *File) parts() (models.Model, *Tokenizer, error) {
	m, err := models.New(f.meta)
	if err != nil {
		return nil, nil, err
	}
	if err := models.Check(m, f); err != nil {
		return nil, nil, err
	}
	tok, err := f.Tokenizer()
	if err != nil {
		return nil, nil, err
	}
	return m, tok, f.checkSampling(tok)
}

// checkSampling reports sampling parameters that no answer could be made with.
func (f *File) checkSampling(tok *Tokenizer) error {
	err := f.samplingErr
	if err == nil {
		err = f.sampling.Apply(sample.Defaults()).Validate(tok.VocabSize())
	}
	if err != nil {
		return fmt.Errorf("the model's sampling parameters: %w", err)
	}
	return nil
}

// Notes say what a user should know of a model that can run: what was left out, and a chat template that is missing,
// cannot be used or refuses a question.
func (f *File) Notes() []string {
	tok, err := f.Tokenizer()
	if err != nil {
		return slices.Clone(f.notes)
	}
	p, err := newPrompter(tok.tok, f.template, f.named, Options{})
	if err != nil { // of options alone
		return slices.Clone(f.notes)
	}
	return f.notesWith(&p, Options{})
}

// notesWith is Notes for a prompter that these options made.
func (f *File) notesWith(p *prompter, o Options) []string {
	notes := slices.Concat(f.notes, p.tok.Notes())
	if arch, err := models.New(f.meta); err == nil && arch.Params().Encoder {
		return notes // it has no conversations
	}
	_, err := p.prompt(json.RawMessage(`[{"role":"user","content":"Hi"}]`), nil, nil)
	switch {
	case p.templates.main.err != nil:
		return append(notes, "conversations are refused: "+err.Error())
	case err != nil:
		return append(notes, "a conversation of one question is refused: "+err.Error())
	case f.template == "" && o.ChatTemplate == "":
		return append(notes,
			"it has no chat template; conversations are written in ChatML, which may not be its own form")
	}
	return notes
}

// fileType names the types of the weights together; it is empty if the file does not.
func fileType(meta *gguf.Meta) (string, error) {
	const key = "general.file_type"
	if !meta.Has(key) {
		return "", nil
	}
	n, err := meta.Int(key)
	if err != nil {
		return "", err
	}
	return convert.FType(n).String(), nil
}

// templateKeys are the chat template that a GGUF file has, and those that it has by name. Keys of another type are noted
// and left out: only conversations need them.
func templateKeys(meta *gguf.Meta) (template string, named map[string]string, notes []string) {
	const key = "tokenizer.chat_template"
	text := func(key string) string {
		s, err := meta.StringOr(key, "")
		if err != nil {
			notes = append(notes, err.Error()+"; it is left out")
		}
		return s
	}
	template = text(key)
	if !meta.Has(key + "s") {
		return template, nil, notes
	}
	names, err := meta.Strings(key + "s")
	if err != nil {
		return template, nil, append(notes, err.Error()+"; it is left out")
	}
	named = make(map[string]string, len(names))
	for _, name := range names {
		switch source := text(key + "." + name); {
		case source == "": // who asks for it is told that there is none
		case name == "default" && template == "":
			template = source
		default:
			named[name] = source
		}
	}
	return template, named, notes
}

// samplingAt begins the keys of sampling parameters.
const samplingAt = "general.sampling."

// keyTypicalP is a key of our own for a parameter that generation_config.json has and GGUF has not.
const keyTypicalP = "hipengine.sampling.typical_p"

// unknownSampling says which sampling keys are not read.
func unknownSampling(meta *gguf.Meta) (notes []string) {
	known := strings.Fields("temp top_p min_p xtc_probability xtc_threshold penalty_repeat mirostat_tau mirostat_eta " +
		"top_k penalty_last_n mirostat sequence")
	for _, key := range meta.Keys() {
		if name, ok := strings.CutPrefix(key, samplingAt); ok && !slices.Contains(known, name) {
			notes = append(notes, fmt.Sprintf("key %q is not known and changes nothing", key))
		}
	}
	return notes
}

// samplingKeys are the sampling parameters that a GGUF file names.
func samplingKeys(meta *gguf.Meta) (o sample.Overrides, err error) {
	number := func(key string, p **float32) {
		if err == nil && meta.Has(key) {
			var v float64
			if v, err = meta.Float(key); err == nil {
				*p = new(float32(v))
			}
		}
	}
	integer := func(key string, p **int) {
		if err == nil && meta.Has(key) {
			var v int64
			if v, err = meta.Int(key); err == nil {
				*p = new(int(v))
			}
		}
	}
	const at = samplingAt
	number(keyTypicalP, &o.TypicalP)
	number(at+"temp", &o.Temperature)
	number(at+"top_p", &o.TopP)
	number(at+"min_p", &o.MinP)
	number(at+"xtc_probability", &o.XTCProbability)
	number(at+"xtc_threshold", &o.XTCThreshold)
	number(at+"penalty_repeat", &o.RepeatPenalty)
	number(at+"mirostat_tau", &o.MirostatTau)
	number(at+"mirostat_eta", &o.MirostatEta)
	integer(at+"top_k", &o.TopK)
	integer(at+"penalty_last_n", &o.RepeatLastN)
	integer(at+"mirostat", &o.Mirostat)
	if err == nil && meta.Has(at+"sequence") {
		var text string
		if text, err = meta.StringOr(at+"sequence", ""); err == nil {
			o.Order, err = sample.ParseOrder(text)
		}
	}
	if o.RepeatLastN != nil && *o.RepeatLastN == 0 { // a window of nothing; in package sample, 0 is the default
		o.RepeatLastN, o.RepeatPenalty = nil, nil
	}
	return o, err
}
