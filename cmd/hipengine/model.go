package main

import (
	"context"
	"io"

	"github.com/hipengine/hipengine"
)

// modelFlags say how a model is found and loaded.
type modelFlags struct {
	deviceFlags
	splitFlags
	Models    string `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
	Pull      bool   `env:"HIPENGINE_PULL" help:"Fetch a model that is named hf:OWNER/NAME:QUANT and not in the cache, as pull does."`
	Verbose   bool   `short:"v" help:"Say what kept auto from other devices and, behind an answer of run, how fast it came and how much of it was guessed."`
	Context   int    `name:"ctx" help:"Context length in tokens, of prompt and answer together: at most what the model was made for; 0 takes that, but no more than 8192."`
	KVType    string `name:"kv-type" default:"auto" env:"HIPENGINE_KV_TYPE" help:"Type of keys and values in the cache: f32, f16, bf16 or q8_0; auto takes f16, but f32 on the reference and where logits are measured."`
	Quant     string `placeholder:"TYPE" help:"Quantize the weights of a Hugging Face folder while they are loaded, as convert and quantize would (q8_0, q4_k_m, ...)."`
	Imatrix   string `placeholder:"FILE" help:"Importance matrix for --quant."`
	Invariant bool   `env:"HIPENGINE_INVARIANT" help:"Answers that follow from their own request alone, bit for bit, whatever else runs, however prompts are cut and whatever is kept of them; costs speed."`

	exact bool // take f32 for keys and values unless told otherwise; set by commands that measure logits
}

// specFlags say what guesses tokens.
type specFlags struct {
	Spec string `default:"auto" env:"HIPENGINE_SPEC" placeholder:"HOW" help:"What guesses next tokens, so that one step checks several: mtp (a layer of the model that was trained for it), ngram (what followed the same text before), the name of a small model with the same vocabulary, off, or auto: mtp or ngram, for little memory. Answers do not depend on it; where it would be slower, nothing is guessed."`
}

// host is that of the device, which says more if the flags ask for it.
func (f modelFlags) host(log io.Writer) (*hipengine.Host, error) {
	f.why = f.Verbose
	return f.deviceFlags.host(log)
}

// options are the flags as the library has them.
func (f modelFlags) options() hipengine.Options {
	o := hipengine.Options{Context: f.Context, KVType: f.KVType, Quant: f.Quant, Imatrix: f.Imatrix, Folder: f.Models,
		Invariant: f.Invariant}
	f.splitFlags.apply(&o)
	if f.exact {
		o.PrefixCache = -1 // for prompts that follow on each other
	}
	if f.exact && (o.KVType == "" || o.KVType == "auto") {
		o.KVType = "f32"
	}
	return o
}

// load opens a model for seqs sequences at once. Progress goes to log if it is a terminal.
func (f modelFlags) load(ctx context.Context, h *hipengine.Host, name string, seqs int,
	log io.Writer) (*hipengine.Model, error) {
	if err := f.fetch(ctx, log, name); err != nil {
		return nil, err
	}
	o := f.options()
	o.Sequences, o.Spec = seqs, hipengine.SpecOff
	return loadWith(ctx, h, name, o, log)
}

// loadWith opens a model. Progress goes to log if it is a terminal.
func loadWith(ctx context.Context, h *hipengine.Host, name string, o hipengine.Options,
	log io.Writer) (*hipengine.Model, error) {
	doing := "loading "
	if o.Quant != "" {
		doing = "quantizing "
	}
	bar := newProgress(log, doing+hipengine.ModelID(name))
	o.Progress = bar.update
	defer bar.done()
	return h.Open(ctx, name, o)
}
