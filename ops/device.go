package ops

import (
	"context"
	"errors"

	"github.com/hipengine/hipengine/tensor"
)

// Info describes a device.
type Info struct {
	Name   string // what the user types: "ref", "cpu", "hip:0"
	Target string // instruction set: "amd64", "gfx1100"
	Model  string // marketing name
	Driver string // runtime and version, empty where there is none
	Memory int64  // bytes; 0 if not known
	Wave   int    // lanes of a wave; 1 on a CPU

	// Buckets says that the device replays captured plans, so that callers should pad token, sequence and page
	// counts to size classes. A CPU records for the exact count and has no padding to compute.
	Buckets bool
}

// MemKind says what a buffer is for, so that a backend can choose where it lives.
type MemKind uint8

// The kinds of memory.
const (
	MemWeights MemKind = iota // written once, read by every plan
	MemState                  // read and written by plans
	MemPinned                 // host memory that transfers read and write directly
)

// ErrUnsupported reports an op that a device can neither run nor see expanded. The error that wraps it names
// the node.
var ErrUnsupported = errors.New("unsupported")

// Device is what a port to other silicon implements, with [Stream] and [Plan]. Methods may be called from
// several goroutines unless they say otherwise.
type Device interface {
	Info() Info

	// Alloc returns zeroed memory. It may block and fails with an error that names the size and what is free.
	Alloc(bytes int64, kind MemKind) (tensor.Buffer, error)

	// Supports reports whether the device has a kernel for n. It is a pure function of op, types and attributes.
	Supports(n *Node) bool

	// Compile lowers g for the device and does all allocation and preparation that running needs. outs become
	// the plan's outputs. The error wraps ErrUnsupported if a node has no kernel and no expansion.
	Compile(g *Graph, outs ...Value) (Plan, error)

	// Stream returns a new in-order queue.
	Stream() (Stream, error)

	// Close releases the device; plans, streams and buffers must be closed before.
	Close() error
}

// Rounder is an optional interface of devices that trade precision for speed where the graph's types do not say so.
type Rounder interface {
	// ActivationBlock returns how many neighbouring activations share a scale where the kernel of n quantizes them
	// to 8 bits before it multiplies, or 0 if it uses them as they are.
	ActivationBlock(n *Node) int
}

// HostBuffer is an optional interface of buffers in memory of the process, which callers may fill without a copy.
type HostBuffer interface {
	tensor.Buffer

	// Bytes returns the memory, until Free. No plan or stream that uses the buffer may be running.
	Bytes() []byte
}

// Stream is an in-order queue of one device, used by one goroutine at a time. Calls may return before the work
// is done; an error may stem from earlier work of the stream.
type Stream interface {
	// Upload copies src to dst, len(src) bytes in dst's type. src may be reused after return.
	Upload(dst tensor.Tensor, src []byte) error

	// Run enqueues one execution of p.
	Run(p Plan) error

	// Download copies src to dst; dst holds the bytes only after Sync.
	Download(dst []byte, src tensor.Tensor) error

	// Sync waits until all enqueued work is done, or ctx is cancelled (the work goes on then).
	Sync(ctx context.Context) error

	Close() error
}

// Plan is a compiled graph with fixed addresses, so that it can be captured once and replayed. One run at a
// time.
type Plan interface {
	// Input returns the place of the input with this name, and whether the graph has one.
	Input(name string) (tensor.Tensor, bool)

	// Output returns the place of output i, in Compile's order; its contents last until the next run.
	Output(i int) tensor.Tensor

	Close() error
}
