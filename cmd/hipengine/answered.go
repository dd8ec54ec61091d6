package main

import (
	"fmt"
	"time"

	"github.com/hipengine/hipengine"
)

// answered is how an answer came.
type answered struct {
	tokens      int
	first, last time.Time // when the first and the last of them came
	guessed     hipengine.Guessed
}

// add counts a piece that has come.
func (a *answered) add(p hipengine.Piece) {
	if a.last = time.Now(); a.tokens == 0 {
		a.first = a.last
	}
	a.tokens++
	a.guessed = p.Guessed
}

// String says how many tokens came, how fast, and how many of them were guessed.
func (a *answered) String() string {
	s := fmt.Sprintf("%d tokens", a.tokens)
	if took := a.last.Sub(a.first); a.tokens > 1 && took > 0 {
		s += fmt.Sprintf(", %.1f tokens a second", float64(a.tokens-1)/took.Seconds())
	}
	if g := a.guessed; g.Steps > 0 {
		s += fmt.Sprintf("; %d guessed, %d of them right: %.2f tokens a step with guesses", g.Tokens, g.Right,
			1+float64(g.Right)/float64(g.Steps))
	}
	return s
}
