package bench

import (
	"context"
	"fmt"
	"time"
)

// Options say what is measured. The zero value of a field measures nothing of its kind, but for Tokens, Words and
// Requests, which must be positive.
type Options struct {
	Seed     uint64 `json:"seed"`
	Streams  []int  `json:"streams"`  // how many ask at once, one measurement each
	Requests int    `json:"requests"` // of each stream
	Words    int    `json:"words"`    // of a prompt
	Tokens   int    `json:"tokens"`   // most of an answer
	EOS      bool   `json:"eos"`      // the model may end answers before; else the server is asked to ignore that

	SharedWords   int `json:"shared_words"`   // with which all prompts of another measurement begin
	SharedStreams int `json:"shared_streams"` // that ask at once in it

	Turns       int `json:"turns"`        // of a growing conversation
	AgentSystem int `json:"agent_system"` // words of its first message, beside AgentWords
	AgentWords  int `json:"agent_words"`  // words of each message
	ColdEvery   int `json:"cold_every"`   // measure every so manyth turn without what is kept too; 0 is the last alone
}

// Report is what a run has measured.
type Report struct {
	URL     string    `json:"url"`
	Model   string    `json:"model"`
	Start   time.Time `json:"start"`
	Options Options   `json:"options"`
	Load    []Load    `json:"load"`             // for each of Options.Streams
	Shared  *Load     `json:"shared,omitempty"` // prompts that begin alike
	Agent   *Agent    `json:"agent,omitempty"`
}

// Errors returns how many requests failed, and what the first of them said.
func (r *Report) Errors() (n int, first string) {
	all := r.Load
	if r.Shared != nil {
		all = append(all[:len(all):len(all)], *r.Shared)
	}
	for _, l := range all {
		if n += l.Errors; first == "" {
			first = l.FirstError
		}
	}
	return n, first
}

// Run measures a server. Requests under load that fail are counted; another that fails ends the run. tell, which may
// be nil, is told what is done, in parts of the whole.
func Run(ctx context.Context, t Target, o Options, tell func(done, total int, what string)) (*Report, error) {
	if o.Tokens < 1 || o.Words < 1 || o.Requests < 1 {
		return nil, fmt.Errorf("bench: %d tokens, %d words and %d requests must be positive", o.Tokens, o.Words,
			o.Requests)
	}
	if tell == nil {
		tell = func(int, int, string) {}
	}
	c := newClient(t, o)
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	r := &Report{URL: c.URL, Model: c.Model, Start: time.Now(), Options: o, Load: []Load{}}
	done, total := 0, len(o.Streams)+o.Turns
	if o.SharedWords > 0 {
		total++
	}
	step := func(what string) {
		done++
		tell(done, total, what)
	}
	// What happens once, such as loading the model, is not measured.
	if _, err := c.chat(ctx, []message{{"user", o.text("warm up", o.Words)}}); err != nil {
		return nil, err
	}
	for _, streams := range o.Streams {
		l, err := c.load(ctx, streams, o.Requests, o.fresh(fmt.Sprint("load ", streams, " ")))
		if err != nil {
			return r, err
		}
		r.Load = append(r.Load, l)
		step(fmt.Sprintf("%d streams", streams))
	}
	if o.SharedWords > 0 {
		shared, rest := o.text("shared", o.SharedWords), o.fresh("tail ")
		if _, err := c.chat(ctx, []message{{"user", shared}}); err != nil { // so that there is something to share
			return r, err
		}
		l, err := c.load(ctx, o.SharedStreams, o.Requests, func(stream, request int) string {
			return shared + " " + rest(stream, request)
		})
		if err != nil {
			return r, err
		}
		r.Shared = &l
		step("shared beginnings")
	}
	if o.Turns > 0 {
		var err error
		if r.Agent, err = c.agent(ctx, o, func(turn int) { step(fmt.Sprintf("turn %d", turn)) }); err != nil {
			return r, err
		}
	}
	return r, nil
}
