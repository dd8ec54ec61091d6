package sample

import "math"

// candidate is a token that may still be chosen.
type candidate struct {
	id     int32
	logit  float32
	weight float64 // exp of a shifted logit; set where a step needs it
}

// before reports whether a ranks before b: higher logit, or the same and a lower id. Ids are distinct, so this is a
// strict total order.
func (a candidate) before(b candidate) bool {
	return a.logit > b.logit || (a.logit == b.logit && a.id < b.id)
}

// topK returns the k candidates of logits that rank first of those that the mask allows and that may come: fewer if
// there are fewer. They are in no order. It reuses the space of heap. k is at least 1; a mask of nil allows all.
func topK(heap []candidate, logits []float32, mask []uint64, k int) []candidate {
	heap = heap[:0]
	least := float32(math.Inf(-1)) // what a logit must exceed; the mask is asked only of those that do
	for at := 0; at < len(logits); at += 64 {
		word := wordOf(mask, at)
		if word == 0 {
			continue
		}
		for i, l := range logits[at:min(at+64, len(logits))] {
			if !(l > least) || word>>i&1 == 0 {
				continue
			}
			c := candidate{id: int32(at + i), logit: l}
			switch {
			case len(heap) < k-1:
				heap = append(heap, c)
				continue
			case len(heap) == k-1: // from here on a heap, whose root ranks last
				heap = append(heap, c)
				for i := k/2 - 1; i >= 0; i-- {
					siftDown(heap, i)
				}
			default:
				heap[0] = c
				siftDown(heap, 0)
			}
			least = heap[0].logit // an equal logit comes with a higher id, so that it ranks after the root
		}
	}
	return heap
}

// siftDown restores the heap order (every parent ranks after its children) below i.
func siftDown(heap []candidate, i int) {
	for {
		last := 2*i + 1
		if last >= len(heap) {
			return
		}
		if r := last + 1; r < len(heap) && heap[last].before(heap[r]) {
			last = r
		}
		if !heap[i].before(heap[last]) {
			return
		}
		heap[i], heap[last] = heap[last], heap[i]
		i = last
	}
}

// massCut returns the last candidate of the shortest prefix of c, in rank order, whose weights add up to at least
// mass; the last of all if rounding leaves the sum short. It reorders c, which must not be empty. This is quickselect
// by weight instead of by count, so it takes linear time on average.
func massCut(c []candidate, mass float64) candidate {
	for {
		p := partition(c)
		var sum float64
		for _, x := range c[:p] {
			sum += x.weight
		}
		switch {
		case p > 0 && sum >= mass:
			c = c[:p]
		case p == len(c)-1 || sum+c[p].weight >= mass:
			return c[p]
		default:
			mass -= sum + c[p].weight
			c = c[p+1:]
		}
	}
}

// partition moves the median of three of c's candidates to its place in rank order, those that rank before it to its
// left and the others to its right, and returns its index.
func partition(c []candidate) int {
	end := len(c) - 1
	mid := end / 2
	if c[mid].before(c[0]) {
		c[mid], c[0] = c[0], c[mid]
	}
	if c[end].before(c[0]) {
		c[end], c[0] = c[0], c[end]
	}
	if c[mid].before(c[end]) {
		c[mid], c[end] = c[end], c[mid]
	}
	pivot := c[end] // the median
	p := 0
	for i := range c[:end] {
		if c[i].before(pivot) {
			c[i], c[p] = c[p], c[i]
			p++
		}
	}
	c[p], c[end] = c[end], c[p]
	return p
}
