package engine

import (
	"fmt"
	"math"
)

// Pooling says which hidden states of a prompt make its embedding.
type Pooling int

// The ways of pooling.
const (
	PoolLast Pooling = iota // that of the last token
	PoolMean                // the mean over all tokens
	PoolCLS                 // that of the first token
	PoolNone                // those of all tokens, each by itself
)

// poolings are the names of the ways of pooling, which are llama.cpp's.
var poolings = map[Pooling]string{PoolLast: "last", PoolMean: "mean", PoolCLS: "cls", PoolNone: "none"}

// String returns the name.
func (p Pooling) String() string { return poolings[p] }

// ParsePooling returns the pooling of a name: none, mean, cls or last.
func ParsePooling(name string) (Pooling, error) {
	for p, n := range poolings {
		if n == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("engine: pooling %q: want none, mean, cls or last", name)
}

// embedding collects the hidden states that a prompt is read for.
type embedding struct {
	pooling Pooling
	types   []int32   // of the tokens; nil: all 0
	read    int       // tokens whose states came by
	sum     []float64 // of PoolMean
	states  []float32 // the result, a row or as many as there are tokens
}

// rows returns how many of the next n tokens' states are wanted; last says that the prompt ends with them.
func (e *embedding) rows(n int, last bool) int {
	switch {
	case e.pooling == PoolMean || e.pooling == PoolNone || e.pooling == PoolCLS && e.read == 0:
		return n
	case e.pooling == PoolLast && last:
		return 1
	}
	return 0
}

// add takes the states of width numbers that a step of n tokens returned.
func (e *embedding) add(n int, states []float32, width int) {
	switch {
	case e.pooling == PoolMean:
		if e.sum == nil {
			e.sum = make([]float64, width)
		}
		for i, x := range states {
			e.sum[i%width] += float64(x)
		}
	case e.pooling == PoolCLS && e.read == 0:
		e.states = append(e.states, states[:width]...)
	case e.pooling != PoolCLS:
		e.states = append(e.states, states...)
	}
	e.read += n
}

// end makes the result once the whole prompt is read.
func (e *embedding) end() {
	for _, x := range e.sum {
		e.states = append(e.states, float32(x/float64(e.read)))
	}
}

// Normalize scales a vector to length 1, in place. One of zeros stays as it is.
func Normalize(v []float32) {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	scale := 1 / math.Sqrt(sum)
	for i, x := range v {
		v[i] = float32(float64(x) * scale)
	}
}
