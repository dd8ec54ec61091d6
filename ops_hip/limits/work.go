package limits

// Work is what launches of a kernel execute.
type Work struct {
	Counts
	Block Block
	Waves float64
}

// Times returns f times the work, as more blocks that do the same.
func (w Work) Times(f float64) Work {
	w.Counts, w.Waves = w.Counts.Times(f), f*w.Waves
	return w
}

// Bound is Counts.On for as many waves as run at once.
func (w Work) Bound(g GPU, apart bool) Bound { return w.On(g, g.Resident(w.Block), apart) }
