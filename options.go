package hipengine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Options say how a model is found and loaded. The zero value takes what the model was made for, for one sequence.
type Options struct {
	// ID is the name under which the model is served; empty is [ModelID] of the name that is opened.
	ID string

	// Context is the most tokens that a sequence may hold. 0 takes what the model was made for, at most 8192, since
	// the memory is taken at once.
	Context int

	// Sequences is how many answers are made at the same time, each with its own context; 0 is 1.
	Sequences int

	// Device is where the model computes, as HostOptions.Device spells it; empty is the host's. The three that follow say
	// how the model lies on several devices.
	Device string

	// Split is auto (or empty), which fills the fastest memory first and moves to others what does not fit, or layer,
	// which gives all devices layers by the memory that they have free, or tensor, which gives each a share of the heads,
	// columns and rows of every layer, so that they read at the same time: the devices should be alike.
	Split string

	// Layers says in place of Split which device has how many layers, in the order of the devices: "hip:0=30,cpu=18".
	Layers string

	// Experts names the device among them that has the matrices of all routed experts, such as cpu; empty leaves them
	// with their layers, or to auto.
	Experts string

	// ExpertCache is the memory, in bytes, for copies of experts on the other devices, where Experts is cpu: of the
	// experts of each layer those that tokens chose most of late. They are run there, next to the rest on the CPU. Text
	// differs from that without by what the devices round differently, and may depend on what was chosen before; 0 is
	// none.
	ExpertCache int64

	// KVTokens is how many tokens the cache of keys and values holds over all sequences; 0 is enough for all of them
	// at full length. With fewer, more sequences than fit at full length can run: where it fills up, the one that
	// came last makes room, in host memory, and goes on later with the same tokens.
	KVTokens int

	// KVType is the type of keys and values in the cache: f32, f16, bf16 or q8_0. Empty and auto take f16, but f32 on
	// the reference.
	KVType string

	// Invariant makes an answer follow from its own request alone, bit for bit: what else the model is doing, how a
	// prompt is cut into steps and which part of it was kept do not count. It costs speed: devices then use the same
	// kernels for one token as for many. Without it that holds for texts that are always the most likely, up to ties
	// in rounded probabilities. A device that cannot is refused.
	Invariant bool

	// Spec is what guesses the next tokens of answers, so that one step of the model can check several of them: one of
	// SpecAuto, which is also meant by nothing, SpecMTP, SpecNGram and SpecOff, or a small model with the same vocabulary,
	// by a name as for Host.Open, which is loaded too. What is answered does not depend on it: tokens are drawn as they
	// would be without, from the same probabilities up to rounding, and with Invariant and a Seed they are the same.
	// How many tokens are guessed follows from what it is measured to gain; often that is none. SpecMTP takes memory for
	// a layer of the file's, and models with recurrent state take some for the states that they can go back to; SpecAuto
	// takes no more than 1 GiB of that, and nothing where it would not fit.
	Spec string

	// PrefixCache is the device memory, in bytes, for states of sequences that are kept for prompts that begin with
	// the same tokens, such as the next turn of a conversation; pages of the cache that no sequence uses are used
	// beside it. 0 takes room for 4 states and 2 for each sequence, at most 1 GiB, or as much of it as fits. Negative
	// keeps none.
	PrefixCache int64

	// PrefixCacheHost is the host memory, in bytes, for kept states that had to make room on the device; 0 is none.
	PrefixCacheHost int64

	// CacheDir is a folder for kept states that had to make room, and for those that are there when the model is
	// closed, so that they outlive the program; empty is none. Its files hold tokens of prompts, and only their owner
	// can read them. Of models with the same weights, options and device, one at a time can use it. CacheDirBytes
	// bounds the files; 0 is 10 GiB.
	CacheDir      string
	CacheDirBytes int64

	// Quant quantizes the weights of a Hugging Face folder while they are loaded, to a type that llama.cpp names:
	// q8_0, q4_k_m, ... Empty keeps them. GGUF files have their types already.
	Quant string

	// Imatrix is the file of an importance matrix for Quant; empty is none.
	Imatrix string

	// Folder is where models are found by name; empty is [ModelFolder].
	Folder string

	// ChatTemplate replaces the model's template for conversations: a template's text, the name of one that the model
	// has beside its own, or of a well-known form (see package text/chat, Forms). Empty takes the model's; with tools
	// or documents the one that it has by the name tool_use or rag.
	ChatTemplate string

	// Lenient accepts conversations of which the template leaves out parts, such as tools that it does not know.
	Lenient bool

	// ToolFormat is how the model writes tool calls and thoughts, by a name of package text/toolcall; empty takes
	// what the markers in its template tell.
	ToolFormat string

	// Pooling is how [Model.Embed] makes one vector of a text: last, mean or cls, or none for servers that return the
	// states of all tokens. With rank, the model is one for [Model.Rank]. Empty takes what the file says, or else
	// last.
	Pooling string

	// Collect prepares the model for [Model.Imatrix]. It then keeps all activations of a step, which takes memory and
	// time.
	Collect bool

	// Progress is told how many bytes of the weights are loaded, first that none are, by one goroutine at a time. Nil
	// is nobody.
	Progress func(done, total int64)

	room pool.Room // asked when memory is short; nil refuses the model
}

// MaxContext bounds Options.Context: nobody needs more, and sizes stay far from overflowing.
const MaxContext = models.MaxContext

// defaultContext bounds the context that is taken without being asked for.
const defaultContext = 8192

// defaultPrefixCache bounds the memory for kept states that is taken without being asked for.
const defaultPrefixCache = 1 << 30

// checkpoints returns how many states r shall have room for.
func (o Options) checkpoints(dev ops.Device, arch models.Model, r runner.Options) (int, error) {
	switch {
	case o.PrefixCacheHost < 0:
		return 0, &OptionError{Option: "PrefixCacheHost",
			Reason: fmt.Sprintf("%d bytes are negative", o.PrefixCacheHost)}
	case o.PrefixCache < 0 && o.PrefixCacheHost > 0:
		return 0, &OptionError{Option: "PrefixCacheHost", Needs: "PrefixCache"}
	case o.CacheDirBytes < 0:
		return 0, &OptionError{Option: "CacheDirBytes", Reason: fmt.Sprintf("%d bytes are negative", o.CacheDirBytes)}
	case o.CacheDirBytes > 0 && o.CacheDir == "":
		return 0, &OptionError{Option: "CacheDirBytes", Needs: "CacheDir"}
	case o.CacheDir != "" && (o.PrefixCache < 0 || o.Collect):
		return 0, &OptionError{Option: "CacheDir", Needs: "PrefixCache"}
	case o.PrefixCache < 0 || o.Collect:
		return 0, nil
	case o.PrefixCache == 0:
		return r.FitCheckpoints(dev, arch, 4+2*r.Seqs, defaultPrefixCache)
	}
	n, err := r.FitCheckpoints(dev, arch, maxCheckpoints, o.PrefixCache)
	if err == nil && n == 0 && !arch.Params().Encoder {
		err = &OptionError{Option: "PrefixCache",
			Reason: fmt.Sprintf("%d bytes do not hold the state of one sequence", o.PrefixCache)}
	}
	return n, err
}

// maxCheckpoints bounds the states that are kept, however small they are.
const maxCheckpoints = 1024

// kvType returns the type of keys and values on a device.
func (o Options) kvType(host HostOptions) (tensor.DType, error) {
	if host.Oracle {
		return tensor.F64, nil
	}
	switch strings.ToLower(o.KVType) {
	case "", "auto":
		if slices.Contains(deviceNames(cmp.Or(o.Device, host.Device)), "ref") {
			return tensor.F32, nil
		}
		return tensor.F16, nil
	}
	var names []string
	for _, dt := range tensor.CacheTypes() {
		name := strings.ToLower(dt.String())
		if name == strings.ToLower(o.KVType) {
			return dt, nil
		}
		names = append(names, name)
	}
	return 0, &OptionError{Option: "KVType",
		Reason: fmt.Sprintf("%q: want auto, %s", o.KVType, strings.Join(names, ", "))}
}
