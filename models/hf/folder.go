package hf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// Folder is an open model folder. It is a [models.Source] of the tensors that a GGUF file of the model would have. Its
// methods may be called from several goroutines, Close excepted.
type Folder struct {
	// Meta holds the keys that a GGUF file of the model would have, those of the tokenizer included.
	Meta *gguf.Meta

	// Vocab describes the tokenizer exactly as tokenizer.json does, padded to the rows of the embedding. Ids of
	// generation_config.json that end a generation are among its ExtraEOG.
	Vocab tokenizer.Vocab

	// Template is the chat template, "" if the folder has none; Templates are further ones by name.
	Template  string
	Templates map[string]string

	// Sampling holds what generation_config.json says about sampling.
	Sampling sample.Overrides

	// Widened says that matrices are F32 though they are stored in fewer bits: the model's factors are multiplied into
	// them.
	Widened bool

	// Notes are for the user: what was skipped, and what GGUF cannot express.
	Notes []string

	stored  *tensors
	entries map[string]*entry
	tokErr  error
}

var _ models.Source = (*Folder)(nil)

// Open reads configuration, tokenizer and the headers of the weights of the folder dir. It reads no weights, but of
// quantized ones the scales and zero points, and some rows to measure what they lose. A model
// class that no family has is an error that wraps *[UnknownModelError]. The caller must Close the folder.
func Open(dir string) (*Folder, error) {
	f, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("hf: %s: %w", dir, err)
	}
	return f, nil
}

func open(dir string) (*Folder, error) {
	root, err := readObject(dir, "config.json")
	if err != nil {
		return nil, err
	}
	if root == nil {
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		if found, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.gguf")); len(found) > 0 {
			return nil, fmt.Errorf("config.json is missing, but there is %s: give that file's path",
				filepath.Base(found[0]))
		}
		return nil, errors.New("config.json is missing: the folder is no Hugging Face model")
	}
	fam, err := findFamily(root)
	if err != nil {
		return nil, err
	}
	stored, err := openTensors(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Meta: &gguf.Meta{}, stored: stored}
	b := &builder{dir: dir, family: fam, cfg: newConfig("config.json", root), files: stored, stored: stored.byName,
		used: map[string]bool{}, meta: f.Meta, entries: map[string]*entry{}}
	if err := f.build(dir, b); err != nil {
		f.Close()
		return nil, err
	}
	f.entries, f.Notes, f.Widened = b.entries, b.notes, b.widened
	return f, nil
}

// findFamily returns the family of config.json's first architecture that is known.
func findFamily(root object) (*family, error) {
	c := newConfig("config.json", root)
	names := c.strs("architectures")
	if *c.err != nil {
		return nil, *c.err
	}
	if list, ok := root["architectures"].([]any); ok && len(list) > 0 { // the whole model's class, not that of a part
		names = (&config{file: c.file, objs: []object{root}, err: c.err}).strs("architectures")
	}
	for _, name := range names {
		if fam := families[name]; fam != nil {
			out := *fam
			if fam.variant != nil {
				out = fam.variant(c)
			}
			return &out, *c.err
		}
	}
	if len(names) == 0 {
		return nil, errors.New("config.json: architectures is missing")
	}
	return nil, &UnknownModelError{names[0]}
}

// build fills the folder from its files.
func (f *Folder) build(dir string, b *builder) error {
	b.setKey("general.architecture", b.arch)
	b.setKey("general.type", "model")
	if abs, err := filepath.Abs(dir); err == nil {
		b.setKey("general.name", filepath.Base(abs))
	}
	if err := b.model(); err != nil {
		return err
	}
	if err := b.pooling(dir); err != nil {
		return err
	}
	return f.text(dir, b)
}

// model makes the keys and the tensors of the language model.
func (b *builder) model() error {
	for _, step := range []func(){b.quantization, b.unpack, b.commonKeys, b.head, b.familyKeys,
		func() { b.family.tensors(b) }, b.finish, b.noteRounding} {
		step()
		if err := b.firstErr(); err != nil {
			return err
		}
	}
	return nil
}

// firstErr returns the error of the configuration, which causes what follows from it, or that of the tensors.
func (b *builder) firstErr() error {
	if *b.cfg.err != nil {
		return *b.cfg.err
	}
	return b.err
}

func (b *builder) familyKeys() {
	if b.keys != nil {
		b.keys(b)
	}
	if key := b.arch + ".vocab_size"; !b.meta.Has(key) {
		b.setKey(key, uint32(b.vocab))
	}
}

// text reads tokenizer, templates and generation defaults.
func (f *Folder) text(dir string, b *builder) (err error) {
	if f.Vocab, err = b.readVocab(dir, b.vocab); err != nil {
		return err
	}
	if f.Sampling, err = b.readGeneration(dir, &f.Vocab); err != nil {
		return err
	}
	tok, err := tokenizer.New(f.Vocab)
	if err != nil {
		return err
	}
	if err := b.rankWords(tok); err != nil {
		return err
	}
	if f.Template, f.Templates, err = readTemplates(dir); err != nil {
		return err
	}
	b.samplingKeys(f.Sampling)
	if f.tokErr = b.vocabKeys(&f.Vocab); f.tokErr != nil {
		f.tokErr = fmt.Errorf("tokenizer.json: %w", f.tokErr)
		b.note("the tokenizer cannot be written to GGUF: %v", f.tokErr)
	}
	if f.Template != "" {
		b.setKey("tokenizer.chat_template", f.Template)
	}
	if len(f.Templates) > 0 {
		b.setKey("tokenizer.chat_templates", sortedKeys(f.Templates))
	}
	for _, name := range sortedKeys(f.Templates) {
		b.setKey("tokenizer.chat_template."+name, f.Templates[name])
	}
	return b.firstErr()
}

// samplingKeys writes the sampling defaults under the keys of newer converters.
func (b *builder) samplingKeys(o sample.Overrides) {
	if o.TopK != nil {
		b.setKey("general.sampling.top_k", int32(*o.TopK))
	}
	if o.TopP != nil {
		b.setKey("general.sampling.top_p", *o.TopP)
	}
	if o.Temperature != nil {
		b.setKey("general.sampling.temp", *o.Temperature)
	}
	if o.MinP != nil {
		b.setKey("general.sampling.min_p", *o.MinP)
	}
	if o.TypicalP != nil {
		b.setKey("hipengine.sampling.typical_p", *o.TypicalP)
	}
	if o.RepeatPenalty != nil {
		b.setKey("general.sampling.penalty_repeat", *o.RepeatPenalty)
	}
}

// Close closes the files. The tensors cannot be read any more.
func (f *Folder) Close() error { return f.stored.close() }

// Convertible returns nil if Meta describes the tokenizer as Vocab does, and else an error that says what the keys of
// GGUF cannot express.
func (f *Folder) Convertible() error { return f.tokErr }

// Tensors returns all tensors in the order of llama.cpp's quantizer: those of no layer first, then layer by layer, by
// name.
func (f *Folder) Tensors() []gguf.TensorInfo {
	var list []gguf.TensorInfo
	for _, name := range sortedKeys(f.entries) {
		list = append(list, f.entries[name].info)
	}
	slices.SortStableFunc(list, func(a, b gguf.TensorInfo) int { return layerOf(a.Name) - layerOf(b.Name) })
	return list
}

// layerOf returns the layer that a GGUF name belongs to, -1 if to none.
func layerOf(name string) int {
	layer := -1
	if _, err := fmt.Sscanf(name, "blk.%d.", &layer); err != nil {
		return -1
	}
	return layer
}

// Tensor returns the tensor with the given GGUF name.
func (f *Folder) Tensor(name string) (gguf.TensorInfo, bool) {
	e := f.entries[name]
	if e == nil {
		return gguf.TensorInfo{}, false
	}
	return e.info, true
}

// ReadTensor fills p with the bytes of t from byte offset off inside the tensor. It is an error to reach beyond the
// tensor.
func (f *Folder) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	e := f.entries[t.Name]
	if e == nil {
		return fmt.Errorf("hf: there is no tensor %q", t.Name)
	}
	if off < 0 || off > e.info.Size || int64(len(p)) > e.info.Size-off {
		return fmt.Errorf("hf: tensor %q: reading %d bytes at %d of %d", t.Name, len(p), off, e.info.Size)
	}
	if err := readBytes(e.data, p, off); err != nil {
		return fmt.Errorf("hf: tensor %q: %w", t.Name, err)
	}
	return nil
}

// readBytes reads a range of bytes of m, rows it touches in part by way of a copy.
func readBytes(m *matrix, p []byte, off int64) error {
	size := int64(m.rowBytes())
	part := func(row int64, p []byte, skip int64) error {
		buf := make([]byte, size)
		if err := m.read(buf, int(row), int(row)+1); err != nil {
			return err
		}
		copy(p, buf[skip:])
		return nil
	}
	if skip := off % size; skip > 0 && len(p) > 0 {
		n := min(size-skip, int64(len(p)))
		if err := part(off/size, p[:n], skip); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	if whole := int64(len(p)) / size; whole > 0 {
		if err := m.read(p[:whole*size], int(off/size), int(off/size+whole)); err != nil {
			return err
		}
		p, off = p[whole*size:], off+whole*size
	}
	if len(p) > 0 {
		return part(off/size, p, 0)
	}
	return nil
}

// ReadRows fills dst with rows of t from row lo on, rows being those of the innermost dimension. len(dst) is a
// multiple of it. Where ReadTensor rounds (weights of FP8, and others that GGUF has no blocks for), ReadRows gives the
// exact product.
func (f *Folder) ReadRows(t gguf.TensorInfo, dst []float32, lo int) error {
	e := f.entries[t.Name]
	if e == nil {
		return fmt.Errorf("hf: there is no tensor %q", t.Name)
	}
	cols := e.info.Shape.Last()
	n := len(dst) / cols
	if len(dst)%cols != 0 || lo < 0 || lo+n > e.info.Shape.Rows() {
		return fmt.Errorf("hf: tensor %q: reading %d values from row %d on of shape %v", t.Name, len(dst), lo,
			e.info.Shape)
	}
	if err := readRows(e.exact, dst, lo, cols); err != nil {
		return fmt.Errorf("hf: tensor %q: %w", t.Name, err)
	}
	return nil
}

// readRows reads rows of cols elements of m, whose own rows may be of another length.
func readRows(m *matrix, dst []float32, lo, cols int) error {
	m = m.reshape(cols)
	return m.floats(dst, lo, lo+len(dst)/cols)
}
