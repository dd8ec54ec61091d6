package hipengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hipengine/hipengine/engine/bench"
	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/eval"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/text/toolcall"
)

// Open loads a model: a file, a folder, a name (see [Find]) or "" for [Ember]. It blocks until the weights are on the
// device, or ctx is done. The caller closes the model; else the host's Close does.
//
// Errors that callers branch on are *[NotFoundError], *[OptionError], *[MemoryError] and [ErrClosed]. Others say what
// is wrong with the file or the device.
func (h *Host) Open(ctx context.Context, name string, o Options) (*Model, error) {
	m, err := h.openModel(ctx, name, o)
	if err != nil {
		return nil, err
	}
	if err := h.enlist(m); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// openModel is Open of a model that belongs to the caller alone.
func (h *Host) openModel(ctx context.Context, name string, o Options) (_ *Model, err error) {
	kv, err := o.kvType(h.options)
	if err != nil {
		return nil, err
	}
	f, err := openFile(name, o, h.options.Threads)
	if err != nil {
		return nil, err
	}
	m := &Model{id: o.id(name), path: f.path, opened: time.Now(), host: h}
	defer func() {
		if m.file == nil || err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	arch, err := m.read(f, o)
	if err != nil {
		return nil, err
	}
	for _, note := range f.notesWith(&m.prompter, o) {
		h.options.Log(m.id + ": " + note)
	}
	if err := m.compute(ctx, o, true); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if arch, err = o.divided(m.on, arch, f); err != nil {
		return nil, err
	}
	if arch, err = o.cached(m.on, arch, f); err != nil {
		return nil, err
	}
	if err := m.load(ctx, arch, f, o, kv); err != nil {
		return nil, err
	}
	return m, nil
}

// Check reports why Open would refuse a model that is open: what [File.Check] finds, and what the options and the
// device's memory, beside the models of the host, do not allow. Nothing is loaded. Errors are those of Open.
func (h *Host) Check(ctx context.Context, f *File, o Options) error {
	kv, err := o.kvType(h.options)
	if err != nil {
		return err
	}
	m := &Model{id: o.id(f.path), host: h}
	arch, err := m.read(f, o)
	if err != nil {
		return err
	}
	if err := m.compute(ctx, o, false); err != nil {
		return err
	}
	defer m.on.done()
	if arch, err = o.divided(m.on, arch, f); err != nil {
		return err
	}
	if arch, err = o.cached(m.on, arch, f); err != nil {
		return err
	}
	_, plan, err := m.planner(ctx, arch, f, o, kv)
	if err != nil {
		return err
	}
	return m.on.check(m.id, plan)
}

// compute opens the devices that the model is to be on.
func (m *Model) compute(ctx context.Context, o Options, tested bool) (err error) {
	if m.on, err = m.host.computer(ctx, o.Device, tested); err != nil {
		return err
	}
	m.dev = m.on.parts[0]
	if len(m.on.parts) == 1 {
		if err := o.splitNeeds(); err != nil {
			m.on.done()
			return err
		}
	}
	return nil
}

// read takes what the model is without its weights from a file, and returns its architecture.
func (m *Model) read(f *File, o Options) (models.Model, error) {
	arch, tok, err := f.parts()
	if err != nil {
		return nil, err
	}
	m.arch, m.Tokenizer, m.defaults = arch.Params().Arch, tok, f.sampling
	if m.prompter, err = newPrompter(m.tok, f.template, f.named, o); err != nil {
		return nil, err
	}
	if o.ToolFormat != "" {
		if m.prompter.format, err = toolcall.ByName(o.ToolFormat); err != nil {
			return nil, &OptionError{Option: "ToolFormat", Err: err}
		}
	}
	if err := m.openPooling(f, o.Pooling, arch.Params().Encoder); err != nil {
		return nil, err
	}
	for _, t := range f.Tensors() {
		m.parameters += int64(t.Shape.Elems())
	}
	m.quantization, _ = fileType(f.meta) // a wrong type is noted
	return arch, nil
}

// setup is with what a runner is made, and how it guesses tokens.
type setup struct {
	runner.Options
	guessing
}

// planner returns with what a runner of the model is made, and what plans its memory. Planning sets how much of that is
// free, how many checkpoints there is memory for, whether there is any for guessing tokens, and how the model lies on
// several devices.
func (m *Model) planner(ctx context.Context, arch models.Model, f *File, o Options, kv tensor.DType) (*setup, planning,
	error) {
	length := o.Context
	if length == 0 {
		length = min(arch.Params().Context, defaultContext)
	}
	r := &setup{Options: runner.Options{Context: length, Seqs: max(o.Sequences, 1), KVType: kv,
		Invariant: o.Invariant}}
	guesses, err := o.guesses(arch, f)
	if err == nil {
		guesses, err = guesses.on(len(m.on.parts))
	}
	if err == nil && slices.Contains(guesses.names, SpecModel) {
		err = m.checkDraft(o)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.KVTokens != 0 && o.KVTokens < length {
		return nil, nil, &OptionError{Option: "KVTokens",
			Reason: fmt.Sprintf("%d is less than one context of %d tokens", o.KVTokens, length)}
	}
	r.Pages = (o.KVTokens + runner.PageSize - 1) / runner.PageSize
	if m.host.options.Oracle {
		r.StateType = tensor.F64
	}
	checkpoints, err := o.checkpoints(m.on.ops, guesses.arch, r.Options)
	if arch.Params().Encoder {
		r.Pages = 0 // there is no cache to bound
	}
	if err != nil {
		return nil, nil, err
	}
	return r, func(share func(string) (int64, int64)) (runner.Memory, error) {
		r.Share, r.Checkpoints = share, checkpoints
		r.Reserved, r.Limit = share(m.dev.ledger.device)
		m.source = f
		plan := func() (runner.Memory, error) {
			if len(m.on.parts) > 1 {
				return m.host.split(ctx, m.on, r.arch, f.meta, m.source, o, r.Options)
			}
			return runner.PlanMemory(m.on.ops, r.arch, m.source, r.Options)
		}
		r.guessing, r.Rewind = guesses, guesses.rewind
		mem, err := plan()
		if cannot := guesses.rewind > 0 && mem.Kept == 0 && len(arch.State().Slots) > 0; err == nil &&
			(cannot || mem.Err() != nil) && !guesses.asked {
			r.guessing = guesses.modest() // nobody asked for more
			r.Rewind = r.guessing.rewind
			mem, err = plan()
		}
		for err == nil && mem.Err() != nil && r.Checkpoints > 0 && o.PrefixCache == 0 {
			r.Checkpoints /= 2 // nor for them
			mem, err = plan()
		}
		// What is too large to be copied may still be used where it is. States on a disk need weights that were read.
		if src, ok := f.mapped(); ok && err == nil && mem.Err() != nil && m.on.adopts() && o.CacheDir == "" {
			copied := mem
			m.source = src
			if mem, err = plan(); err == nil && mem.Err() != nil {
				m.source, mem = f, copied
			}
		}
		if errors.Is(err, runner.ErrInvariant) {
			err = &OptionError{Option: "Invariant", Err: err}
		}
		return mem, err
	}, nil
}

// load reserves the model's memory and fills it.
func (m *Model) load(ctx context.Context, arch models.Model, f *File, o Options, kv tensor.DType) error {
	r, plan, err := m.planner(ctx, arch, f, o, kv)
	if err != nil {
		return err
	}
	if err := m.reserve(ctx, o.room, plan); err != nil {
		return err
	}
	m.host.sayPlacement(m.id, m.on)
	dev := m.on.ops
	m.hostBytes = o.PrefixCacheHost
	if o.Progress != nil {
		o.Progress(0, m.promise.planned.Weights)
	}
	hash := &contentHash{Source: f}
	src := m.source
	if o.CacheDir != "" {
		src = hash
	}
	if m.weights, err = models.LoadWeights(ctx, r.arch, src, dev, o.Progress); err != nil {
		return err
	}
	if n := m.weights.Mapped(); n > 0 {
		m.file = f
		m.host.options.Log(fmt.Sprintf("%s: %.2f GiB of its weights stay in the file and are read as they are needed, since "+
			"there is too little memory for them: that is slow where the system does not keep them", m.id,
			float64(n)/(1<<30)))
	}
	if o.CacheDir != "" {
		if err := m.openStates(o, f.meta, hash, r.Options); err != nil {
			return err
		}
	}
	if o.Collect {
		m.collector, m.names = eval.NewCollector(dev), eval.FileNames(arch, f)
		dev = ops.Device(m.collector)
	}
	if m.runner, err = runner.New(dev, r.arch, m.weights, r.Options); err != nil {
		return err
	}
	if err := m.openDrafters(ctx, r.guessing, o); err != nil {
		return err
	}
	m.promise.loaded()
	m.traffic, err = bench.NewTraffic(arch, f.meta, f.Tensors(), kv)
	return err
}

// reserve reserves what plan says that the model needs, and asks for room as long as there is too little.
func (m *Model) reserve(ctx context.Context, room pool.Room, plan planning) error {
	for {
		var err error
		m.promise, err = m.on.reserve(m.id, plan)
		var lack *MemoryError
		if room == nil || !errors.As(err, &lack) {
			return err
		}
		if err := room(ctx, lack.Need, lack.Free); errors.Is(err, pool.ErrNoRoom) {
			return lack
		} else if err != nil {
			return err
		}
	}
}
