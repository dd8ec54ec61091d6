// Package hipengine runs large language models on AMD GPUs and plain CPUs, in pure Go.
//
// A [Host] owns the device, a [Model] is loaded on it, and both are used from any number of goroutines:
//
//	h, err := hipengine.NewHost(hipengine.HostOptions{})
//	defer h.Close()
//	m, err := h.Open(ctx, "model.gguf", hipengine.Options{})
//	defer m.Close()
//	for piece, err := range m.Chat(ctx, []hipengine.Message{{Role: "user", Content: "Hi"}}, hipengine.Params{}) {
//		fmt.Print(piece.Text)
//	}
//
// Nothing else has to be imported. All kernels and architectures that the module has are linked in; the build tag
// nogpu leaves out what needs a GPU's runtime library, so that the program is static.
//
// # Models
//
// A model is a GGUF file (or the first of its parts), a Hugging Face folder with config.json and *.safetensors, or the
// name of one of these in a folder of models: see [Find]. The empty name is Ember, a small model that is built in, so
// that programs can be tried and tested without a download. [OpenFile] looks into a model without loading it.
//
// # Talking
//
// [Model.Chat] answers a list of messages through the model's own template, [Model.Generate] goes on with a text, and
// a [Conversation] keeps the messages of a chat. Each returns an iterator whose pieces come as the model makes them;
// leaving the loop, or the end of the context, ends the work. What Params leaves out, the model's publisher decides.
// Up to Options.Sequences answers are made at the same time, in common steps; more wait in a queue.
//
// # Memory
//
// All models of a Host share its device, and a ledger of what is promised to each. A model that does not fit beside
// the others is refused with a *[MemoryError] before anything is allocated for it.
//
// A [Pool] offers more models than fit: it opens each when it is first needed, and closes those that have not been
// used for longest when memory is short.
//
// # Measuring
//
// [Model.Logits], [Model.Perplexity], [Compare], [Model.Imatrix] and [Model.Bench] run the model by themselves and
// need it alone: while answers are being made, they return [ErrBusy].
package hipengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/ops_ref/cpu"
)

// HostOptions choose where a Host computes. The zero value takes the best AMD GPU, or else the CPU.
type HostOptions struct {
	// Device is auto (or empty), cpu, ref (the scalar reference), hip:N, kfd:N, cuda:N or emu:TARGET. auto leaves kinds of
	// GPU other than hip out: kfd, which needs no ROCm, has not run on a card, and the others are for checking kernels.
	// Several with commas between them share each model, as Options.Split and the like say. Models can name others:
	// Options.Device.
	Device string

	// Threads of the CPU devices, at most 1024; 0 takes one per core that the process may use, but fewer beside GPUs.
	Threads int

	// SIMD is the set of vector instructions that the CPU uses: generic, avx2, avx512, amx, neon or neon+dotprod; empty
	// takes the best that there is. It holds for the process: hosts with another cannot use the CPU beside this one.
	SIMD string

	// Memory is the most memory of the device, in bytes, that all models together may take; 0 is what is free.
	Memory int64

	// Oracle computes in float64. The device ref alone can.
	Oracle bool

	// Log is told, one sentence at a time, what a user may want to know: which device auto chose, that kernels are
	// being checked, what was odd about a model. It may be called from several goroutines. Nil discards.
	Log func(message string)

	// Why is told, one sentence at a time, what keeps auto from the devices that it did not choose. Nil discards.
	Why func(message string)
}

// Host owns devices, the ledgers of their memory, and the models that are loaded on them. A device is opened when it is
// first needed; a GPU then proves its kernels, unless it did so before with the same driver and program. Its methods
// may be called from several goroutines.
type Host struct {
	options HostOptions
	opener  opener

	opening sync.Mutex         // is held while a device is opened and tested
	devs    map[string]*device // by what they were asked for as
	opened  []*device          // in order
	rating  sync.Mutex         // guards rates of devices
	release func()             // of the level of vector instructions; nil before the first device

	mu     sync.Mutex
	ledger *ledger  // of the first device
	models []*Model // in the order of opening
	pools  []*Pool
	closed bool
}

// NewHost returns a host, and checks its options alone: an error is an *[OptionError]. The caller closes it.
func NewHost(o HostOptions) (*Host, error) {
	if o.Threads < 0 || o.Threads > maxThreads {
		return nil, &OptionError{Option: "Threads", Reason: fmt.Sprintf("%d is outside 0..%d", o.Threads, maxThreads)}
	}
	if levels := cpu.Levels(); o.SIMD != "" && !slices.Contains(levels, o.SIMD) {
		return nil, &OptionError{Option: "SIMD",
			Reason: fmt.Sprintf("%q: this processor and program have %s", o.SIMD, strings.Join(levels, ", "))}
	}
	if o.Memory < 0 {
		return nil, &OptionError{Option: "Memory", Reason: fmt.Sprintf("%d is negative", o.Memory)}
	}
	if o.Oracle && o.Device != "ref" {
		return nil, &OptionError{Option: "Oracle", Reason: fmt.Sprintf("is a mode of device ref, not of %q", o.Device)}
	}
	if err := checkDevices(o.Device); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Why == nil {
		o.Why = func(string) {}
	}
	return &Host{options: o, opener: realOpener, devs: map[string]*device{}}, nil
}

const maxThreads = 1024

// Models returns the open models in the order in which they were opened, in a new slice.
func (h *Host) Models() []*Model {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.models)
}

// Close closes its pools, the models that are still open, the last one first, and then the device. Answers under way
// end with [ErrClosed]; Close waits for the step that runs. Later calls do nothing, and return nil.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	pools := h.pools
	h.mu.Unlock()
	var errs []error
	for _, p := range pools {
		errs = append(errs, p.Close())
	}
	open := h.Models()
	for _, m := range slices.Backward(open) {
		errs = append(errs, m.Close())
	}
	// A model that is being loaded holds the device until it notices that the host is closed.
	h.opening.Lock()
	defer h.opening.Unlock()
	for _, d := range h.opened {
		d.users.Wait()
		errs = append(errs, d.ops.Close())
	}
	h.devs, h.opened = nil, nil
	if h.release != nil {
		h.release()
		h.release = nil
	}
	return errors.Join(errs...)
}

// enlist adds a loaded model, unless the host was closed meanwhile.
func (h *Host) enlist(m *Model) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	h.models = append(h.models, m)
	return nil
}

// forget removes a model that is closed.
func (h *Host) forget(m *Model) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.models = slices.DeleteFunc(h.models, func(o *Model) bool { return o == m })
}

// isClosed reports whether Close was called.
func (h *Host) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}
