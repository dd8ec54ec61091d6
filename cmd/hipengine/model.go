package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/ember"
	"github.com/hipengine/hipengine/models"
	_ "github.com/hipengine/hipengine/models/arch/all"
	"github.com/hipengine/hipengine/models/convert"
	"github.com/hipengine/hipengine/models/hf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/text/chat"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// modelFlags say how a model is found and loaded.
type modelFlags struct {
	deviceFlags
	Models  string `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
	Context int    `name:"ctx" help:"Context length in tokens; 0 takes what the model was made for, at most 8192."`
	KVType  string `name:"kv-type" default:"auto" enum:"auto,f32,f16,bf16,q8_0" env:"HIPENGINE_KV_TYPE" help:"Type of keys and values in the cache: f32, f16, bf16 or q8_0; auto takes f16, but f32 on the reference and where logits are measured."`
	Quant   string `placeholder:"TYPE" help:"Quantize the weights of a Hugging Face folder while they are loaded, as convert and quantize would (q8_0, q4_k_m, ...)."`
	Imatrix string `placeholder:"FILE" help:"Importance matrix for --quant."`

	exact bool // take f32 for keys and values unless told otherwise; set by commands that measure logits
}

// defaultContext bounds the context that is taken without being asked for, since its memory is taken at once.
const defaultContext = 8192

// dir returns the folder of models.
func (f modelFlags) dir() string {
	if f.Models != "" {
		return f.Models
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "hipengine", "models")
}

// find returns the file that name means, and whether name means a model at all: a path, a file name, or the name
// of a model in the model folder.
func (f modelFlags) find(name string) (path string, ok bool) {
	if name == ember.Name {
		return name, true
	}
	if isModel(name) {
		return name, true
	}
	if dir := f.dir(); dir != "" && name != "" && filepath.Base(name) == name {
		for _, p := range []string{filepath.Join(dir, name+".gguf"), filepath.Join(dir, name)} {
			if isModel(p) {
				return p, true
			}
		}
	}
	// A sentence may hold a slash; a path to a model has no spaces worth guessing about.
	pathLike := strings.ContainsRune(name, os.PathSeparator) && !strings.ContainsAny(name, " \t\n")
	return name, pathLike || strings.HasSuffix(name, ".gguf")
}

// isModel reports whether path is a file, or a folder that holds a Hugging Face model.
func isModel(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return err == nil
	}
	_, err = os.Stat(filepath.Join(path, "config.json"))
	return err == nil
}

// source is an opened model: a GGUF file, or a Hugging Face folder that presents itself as one.
type source struct {
	models.Source
	meta     *gguf.Meta
	vocab    func() (tokenizer.Vocab, error)
	template string
	sampling sample.Overrides
	path     string     // empty for the built-in model
	notes    []string   // for the user
	gguf     *gguf.File // nil for a folder
	close    func() error
}

// file opens a model; the empty name is Ember.
func (f modelFlags) file(name string) (*source, error) {
	if f.Imatrix != "" && f.Quant == "" {
		return nil, usageError{errors.New("--imatrix is for --quant, which is not given")}
	}
	if name == "" || name == ember.Name {
		g, err := ember.Open()
		if err != nil {
			return nil, err
		}
		s, err := f.fromGGUF(g, "")
		if err != nil {
			return nil, err
		}
		s.sampling = sample.Overrides{Temperature: new(float32)} // Ember was made to be read greedily
		return s, nil
	}
	path, ok := f.find(name)
	if !ok {
		return nil, fmt.Errorf("no model %q: neither a file nor a name in %s", name, f.dir())
	}
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no model %q: there is no such file", name)
	}
	if err == nil && st.IsDir() {
		return f.fromFolder(path)
	}
	g, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	return f.fromGGUF(g, path)
}

// text opens what turns text into ids: a model, a folder with the files of a tokenizer alone, or one such file.
func (f modelFlags) text(name string) (*source, error) {
	path, _ := f.find(name)
	if name == "" || !hf.IsText(path) {
		return f.file(name)
	}
	if f.Quant != "" {
		return nil, usageError{fmt.Errorf("--quant %s: %s has no weights", f.Quant, name)}
	}
	t, err := hf.OpenText(path)
	if err != nil {
		return nil, err
	}
	return &source{vocab: t.Vocab, template: t.Template, path: path, close: func() error { return nil }}, nil
}

func (f modelFlags) fromGGUF(g *gguf.File, path string) (*source, error) {
	if f.Quant != "" {
		g.Close()
		return nil, usageError{fmt.Errorf("--quant %s: %s is a GGUF file and has its types already: --quant is for Hugging Face folders, hipengine quantize for files", f.Quant, modelID(path))}
	}
	s := &source{Source: g, meta: g.Meta, path: path, gguf: g, close: g.Close,
		vocab: func() (tokenizer.Vocab, error) { return tokenizer.FromGGUF(g.Meta) }}
	var err error
	if s.template, err = g.Meta.StringOr("tokenizer.chat_template", ""); err == nil {
		s.sampling, err = samplingKeys(g.Meta)
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return s, nil
}

func (f modelFlags) fromFolder(path string) (*source, error) {
	folder, err := hf.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{Source: folder, meta: folder.Meta, template: folder.Template, sampling: folder.Sampling, path: path, notes: folder.Notes,
		close: folder.Close, vocab: func() (tokenizer.Vocab, error) { return folder.Vocab, nil }}
	if f.Quant != "" {
		if s.Source, err = f.quantized(folder); err != nil {
			folder.Close()
			return nil, err
		}
	}
	return s, nil
}

// quantized presents a folder with the types that --quant asks for.
func (f modelFlags) quantized(folder *hf.Folder) (*convert.Quantized, error) {
	typ, err := convert.ParseFType(f.Quant)
	if err != nil {
		return nil, usageError{fmt.Errorf("--quant: %w", err)}
	}
	o := convert.Options{Type: typ, Threads: f.Threads}
	if f.Imatrix != "" {
		if o.Imatrix, err = convert.ReadImatrix(f.Imatrix); err != nil {
			return nil, err
		}
	}
	return convert.NewQuantized(folder, o)
}

// tensors lists what the model holds.
func (s *source) tensors() []gguf.TensorInfo {
	if s.gguf != nil {
		return s.gguf.Tensors
	}
	return s.Source.(interface{ Tensors() []gguf.TensorInfo }).Tensors()
}

// tokenizer makes the model's tokenizer.
func (s *source) tokenizer() (*tokenizer.Tokenizer, error) {
	v, err := s.vocab()
	if err != nil {
		return nil, err
	}
	return tokenizer.New(v)
}

// model is a loaded model with everything that text needs.
type model struct {
	id       string
	path     string // empty for the built-in model
	arch     string
	created  time.Time
	dev      ops.Device
	weights  models.Weights
	runner   *runner.Runner
	tok      *tokenizer.Tokenizer
	tmpl     *chat.Template
	bos, eos string // texts, for the template
	defaults sample.Overrides
}

// open loads a model for seqs sequences at once. Progress goes to log if it is a terminal.
func (f modelFlags) open(ctx context.Context, name string, seqs int, log io.Writer) (_ *model, err error) {
	src, err := f.file(name)
	if err != nil {
		return nil, err
	}
	defer src.close()
	m := &model{id: modelID(name), path: src.path, created: time.Now(), defaults: src.sampling}
	arch, err := models.New(src.meta)
	if err != nil {
		return nil, err
	}
	m.arch = arch.Params().Arch
	if err := m.text(src); err != nil {
		return nil, err
	}
	for _, note := range src.notes {
		fmt.Fprintf(log, "hipengine: %s: %s\n", m.id, note)
	}
	if m.dev, err = f.deviceFlags.open(ctx, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	length := f.Context
	if length == 0 {
		length = min(arch.Params().Context, defaultContext)
	}
	o := runner.Options{Context: length, Seqs: seqs, KVType: f.kvType()}
	if f.oracle {
		o.KVType, o.StateType = tensor.F64, tensor.F64
	}
	if err := checkMemory(m.dev, arch, src, o); err != nil {
		return nil, err
	}
	doing := "loading "
	if f.Quant != "" {
		doing = "quantizing "
	}
	bar := newProgress(log, doing+m.id)
	m.weights, err = models.LoadWeights(ctx, arch, src, m.dev, bar.update)
	bar.done()
	if err != nil {
		return nil, err
	}
	m.runner, err = runner.New(m.dev, arch, m.weights, o)
	return m, err
}

// kvType returns the type of keys and values.
func (f modelFlags) kvType() tensor.DType {
	name := f.KVType
	if name == "" || name == "auto" {
		name = "f16"
		if f.exact || f.Device == "ref" {
			name = "f32"
		}
	}
	dt, ok := tensor.ParseDType(strings.ToUpper(name))
	if !ok {
		panic("unknown type of keys and values: " + name) // the flag accepts known ones only
	}
	return dt
}

// checkMemory refuses a model that does not fit, before anything is allocated for it.
func checkMemory(dev ops.Device, arch models.Model, src models.Source, o runner.Options) error {
	mem, err := runner.PlanMemory(dev, arch, src, o)
	if err != nil {
		return err
	}
	if err := mem.Err(); err != nil {
		if mem.Fits > 0 {
			return fmt.Errorf("%w (--ctx %d)", err, mem.Fits)
		}
		return err
	}
	return nil
}

// text reads tokenizer and template.
func (m *model) text(src *source) (err error) {
	if m.tok, err = src.tokenizer(); err != nil {
		return err
	}
	if id, ok := m.tok.BOS(); ok {
		m.bos, _ = m.tok.Token(id)
	}
	if id, ok := m.tok.EOS(); ok {
		m.eos, _ = m.tok.Token(id)
	}
	if src.template == "" {
		src.template = chat.ChatML
	}
	m.tmpl, err = chat.Parse(src.template)
	return err
}

// samplingKeys are the sampling parameters that a GGUF file names.
func samplingKeys(meta *gguf.Meta) (o sample.Overrides, err error) {
	number := func(key string, p **float32) {
		if err == nil && meta.Has(key) {
			var v float64
			if v, err = meta.Float(key); err == nil {
				f := float32(v)
				*p = &f
			}
		}
	}
	number("general.sampling.temp", &o.Temperature)
	number("general.sampling.top_p", &o.TopP)
	if key := "general.sampling.top_k"; err == nil && meta.Has(key) {
		var v int64
		if v, err = meta.Int(key); err == nil {
			k := int(v)
			o.TopK = &k
		}
	}
	return o, err
}

// modelID is the name under which a model is served.
func modelID(name string) string {
	if name == "" {
		return ember.Name
	}
	return strings.TrimSuffix(filepath.Base(name), ".gguf")
}

func (m *model) close() {
	if m.runner != nil {
		m.runner.Close()
	}
	m.weights.Free()
	if m.dev != nil {
		m.dev.Close()
	}
}

// progress shows long work on a terminal.
type progress struct {
	w     io.Writer // nil: not a terminal
	what  string
	start time.Time
	shown time.Time
}

func newProgress(w io.Writer, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

func (p *progress) update(done, total int64) {
	// Work that is over in a blink needs no bar.
	if now := time.Now(); p.w != nil && now.Sub(p.start) > time.Second/2 && now.Sub(p.shown) > time.Second/10 {
		p.shown = now
		rate := float64(done) / now.Sub(p.start).Seconds()
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d %% of %.1f GB, %.2f GB/s, %v left", p.what, 100*done/total, float64(total)/1e9, rate/1e9, left)
	}
}

func (p *progress) done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
