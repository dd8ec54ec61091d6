package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/internal/supervise"
)

// poolFlags say which models a server offers beside its arguments, and when they are loaded and unloaded.
type poolFlags struct {
	All        bool          `env:"HIPENGINE_ALL" help:"Offer every model of the folder of models too; each is loaded when a request asks for it."`
	OnDemand   bool          `name:"on-demand" env:"HIPENGINE_ON_DEMAND" help:"Load no model at the start but pinned ones; each is loaded when a request asks for it."`
	Pin        []string      `env:"HIPENGINE_PIN" placeholder:"MODEL" help:"Model that is loaded at the start and never unloaded; may be given several times."`
	IdleUnload time.Duration `name:"idle-unload" env:"HIPENGINE_IDLE_UNLOAD" help:"Unload models that nobody has used for so long; 0 keeps them."`
	Memory     int64         `env:"HIPENGINE_MEMORY" placeholder:"MIB" help:"Most device memory in MiB that all models together take; 0 is what is free. When it is short, the models go that nobody has used for longest."`
}

// servedModel is a table [serve.model.ID] of the configuration file. What it leaves out is that of the flags.
type servedModel struct {
	File        *string  `toml:"file"` // file, folder or name; the table's name if it is left out
	Context     *int64   `toml:"ctx"`
	Parallel    *int64   `toml:"parallel"`
	KVType      *string  `toml:"kv-type"`
	Quant       *string  `toml:"quant"`
	Imatrix     *string  `toml:"imatrix"`
	Cache       *int64   `toml:"prefix-cache"`      // MiB
	HostCache   *int64   `toml:"prefix-cache-host"` // MiB
	Pooling     *string  `toml:"pooling"`
	Device      *string  `toml:"device"`
	Split       *string  `toml:"split"`
	Layers      *string  `toml:"layers"`
	Experts     *string  `toml:"experts"`
	ExpertCache *float64 `toml:"expert-cache"` // GiB
	Pin         *bool    `toml:"pin"`
}

// or returns the value of a key, or what stands in for it.
func or[T any](key *T, otherwise T) T {
	if key == nil {
		return otherwise
	}
	return *key
}

// served are the models that a server offers.
type served struct {
	models []hipengine.PoolModel
	start  []string // ids of those that are loaded at the start
}

// devices are those that models name themselves.
func (s served) devices() (list []string) {
	for _, m := range s.models {
		if m.Options.Device != "" {
			list = append(list, m.Options.Device)
		}
	}
	return list
}

// loadOptions are the flags as the library has them, for a model that the table t describes. Its zero value describes
// none.
func (c *serveCmd) loadOptions(id string, t servedModel, log io.Writer) (hipengine.Options, error) {
	o := c.options()
	o.ID, o.ToolFormat = id, c.ToolFormat
	if err := c.chatFlags.apply(&o); err != nil {
		return o, err
	}
	parallel := or(t.Parallel, int64(c.Parallel))
	cache, host := or(t.Cache, c.Cache), or(t.HostCache, c.HostCache)
	if parallel < 1 || parallel > 1024 {
		return o, usageError{fmt.Errorf("%sparallel %d is outside 1..1024", option(t, id), parallel)}
	}
	if cache < -1 || host < 0 || max(cache, host) > 1<<40 || cache < 0 && host > 0 {
		return o, usageError{fmt.Errorf(
			"%sprefix-cache %d must be -1 or more, and prefix-cache-host %d not negative, and 0 "+
				"without a prefix cache", option(t, id), cache, host)}
	}
	length := or(t.Context, int64(o.Context))
	if length < 0 || length > hipengine.MaxContext {
		return o, usageError{fmt.Errorf("%sctx %d is outside 0..%d", option(t, id), length, hipengine.MaxContext)}
	}
	o.Context, o.Sequences, o.PrefixCache, o.PrefixCacheHost = int(length), int(parallel), cache<<20, host<<20
	o.KVTokens, o.Spec = c.KVTokens, c.Spec
	if c.CacheDir != "" && cache >= 0 {
		o.CacheDir, o.CacheDirBytes = c.CacheDir, c.CacheDirSize<<20
	}
	o.KVType, o.Quant, o.Imatrix = or(t.KVType, o.KVType), or(t.Quant, o.Quant), or(t.Imatrix, o.Imatrix)
	o.Pooling = or(t.Pooling, c.Pooling)
	if o.Device = or(t.Device, ""); o.Device != "" { // the flags are about their own devices
		o.Split, o.Layers, o.Experts, o.ExpertCache = "", "", "", 0
	}
	o.Split, o.Layers, o.Experts = or(t.Split, o.Split), or(t.Layers, o.Layers), or(t.Experts, o.Experts)
	if t.ExpertCache != nil {
		if err := checkGibibytes(option(t, id)+"expert-cache", *t.ExpertCache); err != nil {
			return o, err
		}
		o.ExpertCache = gibibytes(*t.ExpertCache)
	}
	o.Progress = loadProgress(log, id, o.Quant != "")
	return o, nil
}

// option begins the name of what an option is set with: a key of the model's table, or a flag.
func option(t servedModel, id string) string {
	if t == (servedModel{}) {
		return "--"
	}
	return "serve.model." + id + "."
}

// loadProgress shows each load of a model on a terminal.
func loadProgress(log io.Writer, id string, quant bool) func(done, total int64) {
	doing := "loading "
	if quant {
		doing = "quantizing "
	}
	var bar *progress // the first call of a load makes one
	return func(done, total int64) {
		if done == 0 || bar == nil {
			bar = newProgress(log, doing+id)
		}
		if bar.update(done, total); done == total {
			bar.done()
		}
	}
}

// served returns the models that the arguments, the file and --pin name.
func (c *serveCmd) served(tables map[string]servedModel, log io.Writer) (s served, err error) {
	pins := map[string]bool{}
	for _, id := range c.Pin {
		pins[id] = true
	}
	// add offers what name means, or the model of a table.
	add := func(name, id string, t servedModel, start bool) error {
		if id == "" {
			id = hipengine.ModelID(name)
		} else {
			name = or(t.File, id)
		}
		o, err := c.loadOptions(id, t, log)
		if err != nil {
			return err
		}
		pinned := or(t.Pin, false) || pins[id] || pins[name]
		delete(pins, id)
		delete(pins, name)
		s.models = append(s.models, hipengine.PoolModel{Name: name, Options: o, Pinned: pinned})
		if pinned || start && !c.OnDemand {
			s.start = append(s.start, id)
		}
		return nil
	}
	for _, name := range c.Model {
		id := ""
		if _, ok := tables[name]; ok {
			id = name
		}
		if err := add(name, id, tables[id], true); err != nil {
			return s, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tables)) {
		if !slices.Contains(c.Model, id) {
			if err := add("", id, tables[id], false); err != nil {
				return s, err
			}
		}
	}
	for _, name := range c.Pin { // what nothing else offers
		if pins[name] {
			if err := add(name, "", servedModel{}, true); err != nil {
				return s, err
			}
		}
	}
	if len(s.models) == 0 && !c.All {
		err = add("", "", servedModel{}, true)
	}
	return s, err
}

// pool returns the models that the server offers, of which those of the start are still to be loaded.
func (c *serveCmd) pool(h *hipengine.Host, s served, worker *supervise.Worker, log *slog.Logger,
	std stdio) (*hipengine.Pool, error) {
	o := hipengine.PoolOptions{Models: s.models, Idle: c.IdleUnload}
	if c.All {
		if o.Folder = c.Models; o.Folder == "" {
			o.Folder = hipengine.ModelFolder()
		}
		if o.Folder == "" {
			return nil, usageError{fmt.Errorf("--all: the system names no folder of models; name one with --models")}
		}
		var err error
		if o.FolderOptions, err = c.loadOptions("", servedModel{}, std.err); err != nil {
			return nil, err
		}
		o.FolderOptions.Progress = nil
	}
	o.Observe = func(e pool.Event) {
		if log != nil {
			logModel(log, e)
		}
		var devices []string
		for _, m := range h.Models() {
			d := m.Device()
			if name := fmt.Sprintf("%s (%s)", d.Name, d.Chip); !slices.Contains(devices, name) {
				devices = append(devices, name)
			}
		}
		if len(devices) > 0 {
			worker.Device(strings.Join(devices, "; "))
		}
	}
	return h.NewPool(o)
}

// logModel writes what happened to a model.
func logModel(log *slog.Logger, e pool.Event) {
	attrs := []slog.Attr{slog.String("model", e.ID)}
	level, what := slog.LevelInfo, "model loaded"
	switch e.Kind {
	case pool.WasLoaded:
		attrs = append(attrs, slog.Duration("took", e.Took), slog.Int64("bytes", e.Bytes))
	case pool.Failed:
		level, what = slog.LevelError, "model cannot be loaded"
		attrs = append(attrs, slog.Duration("took", e.Took))
	case pool.WasUnloaded:
		what = "model unloaded"
		attrs = append(attrs, slog.String("reason", e.Reason.String()), slog.Int64("bytes", e.Bytes))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	log.LogAttrs(context.Background(), level, what, attrs...)
}
