package hipengine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/models"
)

// SpecModel is the name of the drafter in Params.Spec where Options.Spec names a model.
const SpecModel = "draft"

// checkDraft reports why the model that Options.Spec names cannot guess tokens of m, before anything is loaded.
func (m *Model) checkDraft(o Options) error {
	f, err := openFile(o.Spec, Options{Folder: o.Folder}, m.host.options.Threads)
	if missing := new(NotFoundError); errors.As(err, &missing) {
		err = fmt.Errorf("%q is none of %s, %s, %s and %s, and %w", o.Spec, SpecAuto, SpecOff, SpecMTP, SpecNGram, err)
	}
	if err == nil {
		defer f.Close()
		err = m.checkDraftFile(f)
	}
	if err != nil {
		return &OptionError{Option: "Spec", Err: err}
	}
	return nil
}

func (m *Model) checkDraftFile(f *File) error {
	arch, tok, err := f.parts()
	if err != nil {
		return fmt.Errorf("draft model %s: %w", f.path, err)
	}
	if arch.Params().Encoder {
		return fmt.Errorf("draft model %s: %w", f.path, ErrEncoder)
	}
	if err := sameVocabulary(m.Tokenizer, tok); err != nil {
		return fmt.Errorf("draft model %s: %w", f.path, err)
	}
	return nil
}

// maxLonger is by how many tokens vocabularies may differ in length: files of one family are often padded differently.
const maxLonger = 512

// sameVocabulary reports the first id that means another thing in the vocabulary of a draft model.
func sameVocabulary(target, draft *Tokenizer) error {
	n, has := target.VocabSize(), draft.VocabSize()
	if n-has > maxLonger || has-n > maxLonger {
		return fmt.Errorf("its vocabulary has %d tokens, that of the model %d", has, n)
	}
	for id := range int32(min(n, has)) {
		a, b := target.Piece(id, true), draft.Piece(id, true)
		if !bytes.Equal(a, b) || target.tok.IsMarker(id) != draft.tok.IsMarker(id) {
			return fmt.Errorf("its vocabulary is another one: token %d is %q, and %q in that of the model", id, b, a)
		}
	}
	return nil
}

// openDraft loads the model that Options.Spec names, for as many sequences as m has, and makes a drafter of it.
func (m *Model) openDraft(ctx context.Context, o Options) (spec.Drafter, error) {
	f, err := openFile(o.Spec, Options{Folder: o.Folder}, m.host.options.Threads)
	if err != nil {
		return nil, err
	}
	arch, err := models.New(f.meta)
	f.Close()
	if err != nil {
		return nil, err
	}
	limits := m.runner.Limits()
	seqs := limits.Seqs
	if !cutsAnywhere(arch) {
		seqs *= 2 // it writes in forks
	}
	d, err := m.host.openModel(ctx, o.Spec, Options{ID: m.id + "/" + SpecModel, Folder: o.Folder, KVType: o.KVType,
		Context: min(limits.Context, arch.Params().Context), Sequences: seqs, Spec: SpecOff, PrefixCache: -1,
		Lenient: true, room: o.room})
	if err != nil {
		return nil, err
	}
	return &draftModel{spec.NewModel(d.runner, rand.Uint64()), d}, nil
}

// cutsAnywhere reports whether what sequences of a model keep can be cut to any length.
func cutsAnywhere(arch models.Model) bool {
	for _, w := range arch.State().Windows() {
		if w > 0 {
			return false
		}
	}
	return len(arch.State().Slots) == 0
}

// draftModel is a drafter with the model that it uses.
type draftModel struct {
	*spec.Model
	model *Model
}

// Close implements spec.Drafter.
func (d *draftModel) Close() error { return errors.Join(d.Model.Close(), d.model.Close()) }
