package sample

import (
	"math"
	"slices"
)

// one is a token of the definition: its logit, and what the steps make of it.
type one struct {
	id    int
	logit float32
}

// definition is the chain of the package comment, written with full sorts: the distribution of the next token behind a
// prompt. breaks reports, for the history up to each of its tokens, whether a breaker of DRY ends there; nil is never.
func definition(p Params, history []int32, row []float32, breaks ...bool) []float64 {
	var c []one
	for id, l := range row {
		b := p.LogitBias[int32(id)]
		if never(b) || slices.ContainsFunc(p.BadWords,
			func(w []int32) bool { return len(w) == 1 && int(w[0]) == id }) ||
			p.MinTokens > 0 && slices.Contains(p.Ends, int32(id)) {
			continue
		}
		c = append(c, one{id, l + b})
	}
	order := p.Order
	if order == nil {
		order = []Stage{Penalties, DRY, TopNSigma, TopK, Typical, TopP, MinP, XTC, Temperature}
	}
	out := make([]float64, len(row))
	branch(p, history, breaks, c, 1, order, 1, out)
	return out
}

// branch runs the stages of order and adds what is left to out, with a weight.
func branch(p Params, history []int32, breaks []bool, c []one, t float64, order []Stage, weight float64,
	out []float64) {
	slices.SortStableFunc(c, func(a, b one) int {
		switch {
		case a.logit > b.logit:
			return -1
		case a.logit < b.logit:
			return 1
		}
		return a.id - b.id
	})
	prob := softmax(c, t)
	if len(order) == 0 {
		for i, x := range c {
			out[x.id] += weight * prob[i]
		}
		return
	}
	next := func(c []one, t, weight float64) { branch(p, history, breaks, c, t, order[1:], weight, out) }
	least := min(max(p.MinKeep, 1), len(c))
	switch order[0] {
	case Penalties:
		next(penalised(p, history, c, t), t, weight)
	case DRY:
		next(repeated(p, history, breaks, c, t), t, weight)
	case TopNSigma:
		n := len(c)
		if p.TopNSigma > 0 {
			n = sigma(p, c)
		}
		next(c[:n], t, weight)
	case TopK:
		n := len(c)
		if p.TopK > 0 {
			n = min(n, p.TopK)
		}
		next(c[:n], t, weight)
	case Typical:
		next(typicals(p, c, prob, least), t, weight)
	case TopP:
		n := len(c)
		if p.TopP > 0 && p.TopP < 1 {
			n = max(least, prefix(prob, float64(p.TopP)))
		}
		next(c[:n], t, weight)
	case MinP:
		n := 0
		for n < len(c) && (n < least || prob[n] >= float64(p.MinP)*prob[0]*(1-1e-12)) {
			n++
		}
		next(c[:n], t, weight)
	case XTC:
		n := 0
		for n < len(c) && prob[n] >= float64(p.XTCThreshold) {
			n++
		}
		if n < 2 || p.XTCThreshold > 0.5 || len(c)-(n-1) < p.MinKeep {
			n = 1
		}
		x := float64(p.XTCProbability)
		if x > 0 {
			next(slices.Clone(c[n-1:]), t, weight*x)
		}
		if x < 1 {
			next(slices.Clone(c), t, weight*(1-x))
		}
	case Temperature:
		if now := dynamic(p, prob); now > 0 {
			next(c, t*now, weight)
		} else {
			next(c[:1], t, weight)
		}
	}
}

// softmax returns the probabilities of candidates in rank order.
func softmax(c []one, t float64) []float64 {
	w := make([]float64, len(c))
	sum := 0.0
	for i, x := range c {
		w[i] = math.Exp((float64(x.logit) - float64(c[0].logit)) / t)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// prefix returns how many probabilities add up to mass.
func prefix(prob []float64, mass float64) int {
	sum := 0.0
	for i, p := range prob {
		if sum += p; sum >= mass {
			return i + 1
		}
	}
	return len(prob)
}

func penalised(p Params, history []int32, c []one, t float64) []one {
	n := p.RepeatLastN
	if n == 0 {
		n = DefaultRepeatLastN
	}
	if n > 0 && len(history) > n {
		history = history[len(history)-n:]
	}
	c = slices.Clone(c)
	for i := range c {
		count := 0
		for _, h := range history {
			if int(h) == c[i].id {
				count++
			}
		}
		if count == 0 {
			continue
		}
		l := &c[i].logit
		if r := p.RepeatPenalty; r != 0 && r != 1 {
			if *l > 0 {
				*l /= r
			} else {
				*l *= r
			}
		}
		*l -= float32(float64(float32(count)*p.FrequencyPenalty+p.PresencePenalty) * t)
	}
	return c
}

func repeated(p Params, history []int32, breaks []bool, c []one, t float64) []one {
	if p.DRYMultiplier == 0 {
		return c
	}
	limit := 0
	for i := len(history) - 1; i >= 0 && (i >= len(breaks) || !breaks[i]); i-- {
		limit++
	}
	if p.DRYLastN > 0 && len(history) > p.DRYLastN {
		history = history[len(history)-p.DRYLastN:]
	}
	c = slices.Clone(c)
	for i := range c {
		longest := 0
		for at := 1; at < len(history); at++ {
			if int(history[at]) != c[i].id {
				continue
			}
			n := 0
			for n < at && n < limit && history[at-1-n] == history[len(history)-1-n] {
				n++
			}
			longest = max(longest, n)
		}
		if longest >= p.DRYAllowedLength {
			c[i].logit -= float32(float64(p.DRYMultiplier) * math.Pow(float64(p.DRYBase),
				float64(longest-p.DRYAllowedLength)) * t)
		}
	}
	return c
}

func sigma(p Params, c []one) (n int) {
	mean, variance := 0.0, 0.0
	for _, x := range c {
		mean += float64(x.logit) / float64(len(c))
	}
	for _, x := range c {
		variance += (float64(x.logit) - mean) * (float64(x.logit) - mean) / float64(len(c))
	}
	for n < len(c) && float64(c[n].logit) >= float64(c[0].logit)-float64(p.TopNSigma)*math.Sqrt(variance) {
		n++
	}
	return n
}

func typicals(p Params, c []one, prob []float64, least int) []one {
	if p.TypicalP <= 0 || p.TypicalP >= 1 {
		return c
	}
	entropy := entropyOf(prob)
	by := make([]int, len(c))
	for i := range by {
		by[i] = i
	}
	distance := func(i int) float32 { return float32(math.Abs(-math.Log(prob[i]) - entropy)) }
	slices.SortFunc(by, func(a, b int) int {
		switch {
		case distance(a) < distance(b):
			return -1
		case distance(a) > distance(b):
			return 1
		}
		return c[a].id - c[b].id
	})
	var sorted []float64
	for _, i := range by {
		sorted = append(sorted, prob[i])
	}
	var left []one
	for _, i := range by[:max(least, prefix(sorted, float64(p.TypicalP)))] {
		left = append(left, c[i])
	}
	return left
}

func entropyOf(prob []float64) (h float64) {
	for _, q := range prob {
		if q > 0 {
			h -= q * math.Log(q)
		}
	}
	return h
}

func dynamic(p Params, prob []float64) float64 {
	t := float64(p.Temperature)
	if d := float64(p.DynatempRange); d > 0 && len(prob) > 1 {
		low := max(0, t-d)
		t = low + (t+d-low)*math.Pow(entropyOf(prob)/math.Log(float64(len(prob))), float64(p.DynatempExponent))
	}
	return t
}
