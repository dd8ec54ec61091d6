package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows long work on a terminal.
type progress struct {
	w     io.Writer // nil: not a terminal
	what  string
	start time.Time
	shown time.Time
}

func newProgress(w io.Writer, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// update shows how many bytes are done. The first call, with none, starts the clock: what came before was other work.
func (p *progress) update(done, total int64) {
	if done == 0 {
		p.start = time.Now()
	}
	// Work that is over in a blink needs no bar.
	if now := time.Now(); p.w != nil && now.Sub(p.start) > time.Second/2 && now.Sub(p.shown) > time.Second/10 {
		p.shown = now
		rate := float64(done) / now.Sub(p.start).Seconds()
		left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
		speed := fmt.Sprintf("%.2f GB/s", rate/1e9)
		if rate < 1e8 {
			speed = fmt.Sprintf("%.1f MB/s", rate/1e6)
		}
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d %% of %.1f GB, %s, %v left", p.what, 100*done/total, float64(total)/1e9,
			speed, left)
	}
}

func (p *progress) done() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// count shows progress in equal parts of the work, with what is worth watching.
func (p *progress) count(done, total int, watch string) {
	if p.w == nil {
		return
	}
	p.shown = time.Now()
	each := p.shown.Sub(p.start) / time.Duration(done)
	left := (each * time.Duration(total-done)).Round(time.Second)
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d, %s, %.3g s each, %v left", p.what, done, total, watch, each.Seconds(),
		left)
}
