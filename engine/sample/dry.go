package sample

import (
	"bytes"
	"math"
)

// dry finds the tokens that would go on with a repetition of what was said last.
type dry struct {
	multiplier, base float64
	allowed          int
	lastN            int // 0 and negative are all

	past []int32 // tokens, of which the last lastN count
	free int     // tokens since the last breaker

	breakers [][]byte
	piece    func(id int32) []byte
	tail     []byte // bytes that a breaker may begin in
	longest  int    // bytes of the longest breaker

	repeats []int         // see matches
	length  map[int32]int // longest repetition that a token goes on with
}

func newDRY(p *Params) *dry {
	d := &dry{multiplier: float64(p.DRYMultiplier), base: float64(p.DRYBase), allowed: p.DRYAllowedLength, lastN: p.DRYLastN,
		piece: p.Piece, length: make(map[int32]int)}
	for _, b := range p.DRYBreakers {
		if b != "" {
			d.breakers = append(d.breakers, []byte(b))
			d.longest = max(d.longest, len(b))
		}
	}
	return d
}

// add appends a token.
func (d *dry) add(id int32) {
	if d.lastN > 0 && len(d.past) >= 2*d.lastN {
		d.past = append(d.past[:0], d.past[len(d.past)-d.lastN+1:]...)
	}
	d.past = append(d.past, id)
	d.free++
	if len(d.breakers) == 0 {
		return
	}
	piece := d.piece(id)
	before := len(d.tail)
	d.tail = append(d.tail, piece...)
	for _, b := range d.breakers {
		if from := max(0, before-len(b)+1); bytes.Contains(d.tail[from:], b) {
			d.free = 0
			break
		}
	}
	if n := len(d.tail) - (d.longest - 1); n > 0 {
		d.tail = append(d.tail[:0], d.tail[n:]...)
	}
}

// find fills d.length.
func (d *dry) find() {
	clear(d.length)
	past := d.past
	if d.lastN > 0 && len(past) > d.lastN {
		past = past[len(past)-d.lastN:]
	}
	if d.free < d.allowed {
		return
	}
	d.repeats = suffixMatches(past, d.repeats)
	for i, n := range d.repeats {
		if n = min(n, d.free); n >= d.allowed {
			d.length[past[i+1]] = max(d.length[past[i+1]], n)
		}
	}
}

// suffixMatches returns, for each proper prefix of past that is not empty, the length of the longest text that both it
// and past end with. It reuses the space of out. This is the Z algorithm from behind, which takes linear time.
func suffixMatches(past []int32, out []int) []int {
	n := len(past)
	out = out[:0]
	for range n - 1 {
		out = append(out, 0)
	}
	// In the words of the algorithm: z[k] is out[n-1-k], s[i] is past[n-1-i], and s[l:r] equals s[:r-l].
	l, r := 0, 0
	for k := 1; k < n; k++ {
		z := 0
		if k < r {
			z = min(r-k, out[n-1-(k-l)])
		}
		for k+z < n && past[n-1-z] == past[n-1-k-z] {
			z++
		}
		if k+z > r {
			l, r = k, k+z
		}
		out[n-1-k] = z
	}
	return out
}

// penalty returns what the logit of a token loses that goes on with a repetition of n tokens.
func (d *dry) penalty(n int) float64 {
	const maxLog = 88.7228391 // of a float32, as in llama.cpp
	e := float64(n - d.allowed)
	if d.base > 1.000001 {
		e = min(e, math.Floor(maxLog/math.Log(d.base)))
	}
	return d.multiplier * math.Pow(d.base, e)
}

// apply gives a row of logits its penalties.
func (d *dry) apply(logits []float32) {
	d.find()
	for id, n := range d.length {
		if id >= 0 && int(id) < len(logits) && !never(logits[id]) {
			logits[id] = bounded(float32(float64(logits[id]) - d.penalty(n)))
		}
	}
}

// applyTo gives candidates, whose logits are to be divided by the temperature, their penalties.
func (d *dry) applyTo(c []candidate, temperature float64) {
	d.find()
	for i := range c {
		if n, ok := d.length[c[i].id]; ok {
			c[i].logit = bounded(float32(float64(c[i].logit) - d.penalty(n)*temperature))
		}
	}
}

// bounded returns l, or the nearest number that is finite.
func bounded(l float32) float32 { return min(max(l, -math.MaxFloat32), math.MaxFloat32) }
