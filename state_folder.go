package hipengine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/hipengine/hipengine/engine/disk"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
)

// defaultCacheDirBytes bounds the files of states where nobody says.
const defaultCacheDirBytes = 10 << 30

// contentHash is a source that computes a hash of what is read of it: a sum of the hashes of its parts, which may
// come in any order, from several goroutines.
type contentHash struct {
	models.Source
	mu  sync.Mutex
	sum [4]uint64
}

// ReadTensor implements models.Source.
func (c *contentHash) ReadTensor(t gguf.TensorInfo, p []byte, off int64) error {
	if err := c.Source.ReadTensor(t, p, off); err != nil {
		return err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %v %v %d %d\n", t.Name, t.DType, t.Shape, off, len(p))
	h.Write(p)
	part := h.Sum(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.sum {
		c.sum[i] += binary.LittleEndian.Uint64(part[8*i:])
	}
	return nil
}

// openStates opens the folder for states of a model, if there is to be one. What states depend on beside their tokens
// makes its identity: weights, metadata, device, the kernels of this program, and the types and sizes that the runner
// was asked for. Weights were read through c.
func (m *Model) openStates(o Options, meta *gguf.Meta, c *contentHash, r runner.Options) (err error) {
	info := m.on.ops.Info()
	kind, _, _ := strings.Cut(info.Name, ":")
	h := sha256.New()
	for _, key := range meta.Keys() {
		v, _ := meta.Value(key)
		fmt.Fprintf(h, "%q %v\n", key, v)
	}
	_, level, _ := strings.Cut(info.Model, ", ") // without the number of threads, which decides nothing
	if kind != "cpu" {
		level = info.Model
	}
	if m.on.split != "" { // devices need not compute alike
		kind = info.Name + " " + m.on.split
	}
	build, _ := debug.ReadBuildInfo()
	program := ""
	if build != nil {
		program = build.Main.Version
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
				program += " " + s.Value
			}
		}
	}
	identity := fmt.Sprintf("weights %x, metadata %x, %s %s %s %s, program %s, context %d, keys and values %v, state %v, pages of %d, invariant %v",
		c.sum, h.Sum(nil), kind, info.Target, level, info.Driver, program, r.Context, r.KVType, r.StateType,
		runner.PageSize, r.Invariant)
	budget := o.CacheDirBytes
	if budget == 0 {
		budget = defaultCacheDirBytes
	}
	if m.states, err = disk.Open(o.CacheDir, identity, budget,
		func(message string) { m.host.options.Log(m.id + ": " + message) }); err != nil {
		return &OptionError{Option: "CacheDir", Err: err}
	}
	return nil
}
