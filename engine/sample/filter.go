package sample

import "math"

// filter runs stages over the candidates kept, which are by ascending id, and gives those that are left their weights.
func (s *Sampler) filter(stages []Stage) []candidate {
	s.temperature = 1
	for _, stage := range stages {
		if len(s.kept) == 1 {
			break // nothing can change what is drawn
		}
		switch stage {
		case Penalties:
			s.window.applyTo(&s.p, s.kept, s.temperature)
		case DRY:
			s.dry.applyTo(s.kept, s.temperature)
		case TopNSigma:
			s.topNSigma()
		case TopK:
			s.keepBest(s.p.TopK)
		case Typical:
			s.typical()
		case TopP:
			s.topP()
		case MinP:
			s.minP()
		case XTC:
			s.xtc()
		case Temperature:
			s.temper()
		}
	}
	weigh(s.kept, s.highest(), s.temperature)
	return s.kept
}

// highest returns the largest logit kept.
func (s *Sampler) highest() float32 {
	highest := s.kept[0].logit
	for _, c := range s.kept {
		highest = max(highest, c.logit)
	}
	return highest
}

// keep drops the candidates for which ok is false and leaves the others in order.
func (s *Sampler) keep(ok func(candidate) bool) {
	n := 0
	for _, c := range s.kept {
		if ok(c) {
			s.kept[n] = c
			n++
		}
	}
	s.kept = s.kept[:n]
}

// best returns the n-th candidate of c in rank order, from 1 to len(c). It reorders c and changes its weights.
func best(c []candidate, n int) candidate {
	for i := range c {
		c[i].weight = 1
	}
	return massCut(c, float64(n))
}

// keepBest keeps the n candidates of highest rank.
func (s *Sampler) keepBest(n int) {
	if n >= len(s.kept) {
		return
	}
	s.scratch = append(s.scratch[:0], s.kept...)
	cut := best(s.scratch, n)
	s.keep(func(c candidate) bool { return !cut.before(c) })
}

// topNSigma keeps logits at most TopNSigma standard deviations below the largest.
func (s *Sampler) topNSigma() {
	var sum float64
	for _, c := range s.kept {
		sum += float64(c.logit)
	}
	mean := sum / float64(len(s.kept))
	var squares float64
	for _, c := range s.kept {
		d := float64(c.logit) - mean
		squares += d * d
	}
	lowest := float64(s.highest()) - float64(s.p.TopNSigma)*math.Sqrt(squares/float64(len(s.kept)))
	s.keep(func(c candidate) bool { return float64(c.logit) >= lowest })
}

// cutAt returns the last candidate of the shortest prefix, in rank order, of the scratch candidates that has this
// share of their weight, and MinKeep of them at least.
func (s *Sampler) cutAt(share, total float64) candidate {
	cut := massCut(s.scratch, share*total)
	if n := min(s.p.MinKeep, len(s.scratch)); n > 1 {
		if least := best(s.scratch, n); cut.before(least) {
			return least
		}
	}
	return cut
}

// topP keeps the most likely candidates that have TopP of the probability.
func (s *Sampler) topP() {
	total := weigh(s.kept, s.highest(), s.temperature)
	s.scratch = append(s.scratch[:0], s.kept...)
	cut := s.cutAt(float64(s.p.TopP), total)
	s.keep(func(c candidate) bool { return !cut.before(c) })
}

// minP keeps candidates that have MinP of the probability of the most likely one.
func (s *Sampler) minP() {
	lowest := float64(s.highest()) + s.temperature*math.Log(float64(s.p.MinP))
	n := 0
	for _, c := range s.kept {
		if float64(c.logit) >= lowest {
			n++
		}
	}
	if n < s.p.MinKeep {
		s.keepBest(s.p.MinKeep)
		return
	}
	s.keep(func(c candidate) bool { return float64(c.logit) >= lowest })
}

// typical keeps the candidates whose surprise is nearest to what is expected, and that have TypicalP of the
// probability.
func (s *Sampler) typical() {
	highest := s.highest()
	total := weigh(s.kept, highest, s.temperature)
	norm := math.Log(total)
	entropy := s.entropy(highest, total)
	// The rank is by the distance from the entropy, for which it takes the place of the logit.
	rank := func(c candidate) candidate {
		logp := (float64(c.logit)-float64(highest))/s.temperature - norm
		c.logit = -float32(math.Abs(-logp - entropy))
		return c
	}
	s.scratch = s.scratch[:0]
	for _, c := range s.kept {
		s.scratch = append(s.scratch, rank(c))
	}
	cut := s.cutAt(float64(s.p.TypicalP), total)
	s.keep(func(c candidate) bool { return !cut.before(rank(c)) })
}

// entropy returns that of the candidates kept, in nats, whose weights add up to total.
func (s *Sampler) entropy(highest float32, total float64) (h float64) {
	norm := math.Log(total)
	for _, c := range s.kept {
		h -= c.weight / total * ((float64(c.logit)-float64(highest))/s.temperature - norm)
	}
	return h
}

// xtc drops, with probability XTCProbability, the candidates that have XTCThreshold of the probability or more, but
// for the least likely of them.
func (s *Sampler) xtc() {
	if s.rng.Float64() >= float64(s.p.XTCProbability) {
		return
	}
	lowest := float64(s.p.XTCThreshold) * weigh(s.kept, s.highest(), s.temperature)
	n := 0
	var last candidate
	for _, c := range s.kept {
		if c.weight < lowest {
			continue
		}
		if n++; n == 1 || last.before(c) {
			last = c
		}
	}
	if n < 2 || len(s.kept)-(n-1) < s.p.MinKeep {
		return
	}
	s.keep(func(c candidate) bool { return !c.before(last) })
}

// temper divides the logits by the temperature, which DynatempRange lets follow the entropy.
func (s *Sampler) temper() {
	t := float64(s.p.Temperature)
	if d := float64(s.p.DynatempRange); d > 0 {
		highest := s.highest()
		total := weigh(s.kept, highest, s.temperature)
		share := s.entropy(highest, total) / math.Log(float64(len(s.kept)))
		low := max(0, t-d)
		t = low + (t+d-low)*math.Pow(min(max(share, 0), 1), float64(s.p.DynatempExponent))
	}
	if t > 0 {
		s.temperature *= t
		return
	}
	s.keepBest(1)
}
