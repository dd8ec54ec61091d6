package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/serve"
	"github.com/hipengine/hipengine/serve/bench"
)

// benchServeCmd measures a server: one that runs, or one of its own.
type benchServeCmd struct {
	modelFlags
	specFlags
	Target string `arg:"" optional:"" placeholder:"URL|MODEL" help:"Address of a server that speaks OpenAI's interface, or a model to serve for the measurement; without any, Ember."`

	Name   string   `name:"served-model" placeholder:"ID" help:"Model to ask for at URL; without it, the first that the server lists."`
	APIKey []string `env:"HIPENGINE_API_KEY" placeholder:"KEY" help:"API key of the server at URL; of several, the first is used."`

	Streams  []int `default:"1,4,16,64" placeholder:"N,..." help:"Numbers of streams that ask at once; 0 for none."`
	Requests int   `default:"4" help:"Requests of each stream, one after the other."`
	Prompt   int   `name:"prompt-words" default:"64" placeholder:"N" help:"Words of a prompt."`
	Tokens   int   `name:"answer-tokens" default:"64" placeholder:"N" help:"Tokens of an answer."`
	EOS      bool  `name:"eos" help:"Let the model end its answers; without it, the server is asked for all tokens (ignore_eos)."`

	Shared        int `name:"shared-words" default:"512" placeholder:"N" help:"Words with which all prompts of another measurement begin; 0 leaves it out."`
	SharedStreams int `name:"shared-streams" default:"4" help:"Streams of that measurement."`

	Turns     int `default:"20" help:"Turns of a conversation that grows as an agent's; 0 leaves it out."`
	System    int `name:"system-words" default:"256" placeholder:"N" help:"Words with which that conversation begins."`
	TurnWords int `name:"turn-words" default:"64" placeholder:"N" help:"Words of each of its messages."`
	ColdEvery int `name:"cold-every" default:"5" placeholder:"N" help:"Measure every Nth turn also with a beginning that is new to the server; 0 the last alone."`

	Seed uint64 `default:"1" help:"Of the words; the same seed asks the same."`
	JSON bool   `help:"Print JSON."`
	HTML string `name:"html" placeholder:"FILE" help:"Write a report with plots, as one file that needs no other."`
}

// plan checks the flags.
func (c *benchServeCmd) plan() (bench.Options, error) {
	for _, l := range []struct {
		flag     string
		values   []int
		low, top int
	}{{"--streams", c.Streams, 0, 1024}, {"--requests", []int{c.Requests}, 1, 1 << 20}, {"--prompt-words",
		[]int{c.Prompt}, 1, 1 << 20},
		{"--answer-tokens", []int{c.Tokens}, 1, hipengine.MaxContext}, {"--shared-words", []int{c.Shared}, 0, 1 << 20},
		{"--shared-streams", []int{c.SharedStreams}, 1, 1024}, {"--turns", []int{c.Turns}, 0, 1 << 16},
		{"--system-words", []int{c.System}, 0, 1 << 20}, {"--turn-words", []int{c.TurnWords}, 1, 1 << 20},
		{"--cold-every", []int{c.ColdEvery}, 0, 1 << 16}} {
		for _, v := range l.values {
			if v < l.low || v > l.top {
				return bench.Options{}, usageError{fmt.Errorf("%s %d is outside %d..%d", l.flag, v, l.low, l.top)}
			}
		}
	}
	streams := slices.DeleteFunc(slices.Clone(c.Streams), func(n int) bool { return n == 0 })
	if len(streams) == 0 && c.Shared == 0 && c.Turns == 0 {
		return bench.Options{},
			usageError{errors.New("--streams 0, --shared-words 0 and --turns 0 leave nothing to measure")}
	}
	return bench.Options{Seed: c.Seed, Streams: streams, Requests: c.Requests, Words: c.Prompt, Tokens: c.Tokens,
		EOS:         c.EOS,
		SharedWords: c.Shared, SharedStreams: c.SharedStreams, Turns: c.Turns, AgentSystem: c.System,
		AgentWords: c.TurnWords,
		ColdEvery:  c.ColdEvery}, nil
}

// Run executes the command.
func (c *benchServeCmd) Run(ctx context.Context, std stdio) error {
	o, err := c.plan()
	if err != nil {
		return err
	}
	r, device, err := c.measure(ctx, o, std)
	if err != nil {
		return err
	}
	report := &benchServeReport{Report: r, Device: device}
	report.Version, _ = programVersion()
	if c.HTML != "" {
		if err := writeFile(c.HTML, report.writeHTML); err != nil {
			return err
		}
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		err = e.Encode(report)
	} else {
		err = report.print(std.out)
	}
	if n, first := r.Errors(); err == nil && n > 0 {
		err = fmt.Errorf("%d requests failed, the first with: %s", n, first)
	}
	return err
}

// measure measures the server at URL, or servers of our own.
func (c *benchServeCmd) measure(ctx context.Context, o bench.Options, std stdio) (r *bench.Report, device string,
	err error) {
	bar := newProgress(std.err, "measuring")
	defer bar.done()
	if strings.Contains(c.Target, "://") {
		t := bench.Target{URL: c.Target, Model: c.Name}
		if len(c.APIKey) > 0 {
			t.Key = c.APIKey[0]
		}
		r, err = bench.Run(ctx, t, o, bar.count)
		return r, "", err
	}
	if c.Name != "" {
		return nil, "", usageError{errors.New("--served-model is for URL, which is not given")}
	}
	// Many streams of short prompts and one long conversation are served one after the other: memory for all the
	// streams at the conversation's length would be a multiple of what either takes.
	load, agent := o, o
	load.Turns, agent.Streams, agent.SharedWords = 0, nil, 0
	if len(o.Streams) > 0 || o.SharedWords > 0 {
		streams := slices.Max(append([]int{1}, o.Streams...))
		if o.SharedWords > 0 {
			streams = max(streams, o.SharedStreams)
		}
		// A word is a token or two.
		if r, device, err = c.serve(ctx, load, streams, 2*(o.SharedWords+o.Words)+o.Tokens+128, bar, std); err != nil {
			return nil, "", err
		}
	}
	if o.Turns > 0 {
		a, name, err := c.serve(ctx, agent, 1, 0, bar, std)
		if err != nil {
			return nil, "", err
		}
		if device = name; r != nil {
			a.Start, a.Load, a.Shared = r.Start, r.Load, r.Shared
		}
		r = a
	}
	r.Options = o
	return r, device, nil
}

// serve serves the model on a port of its own, for sequences of at most length tokens (0 for its own length) unless
// the flags say how long, and measures it.
func (c *benchServeCmd) serve(ctx context.Context, o bench.Options, streams, length int, bar *progress,
	std stdio) (*bench.Report, string, error) {
	h, err := c.host(std.err)
	if err != nil {
		return nil, "", err
	}
	defer h.Close()
	if err := c.fetch(ctx, std.err, c.Target); err != nil {
		return nil, "", err
	}
	options := c.options()
	options.Sequences, options.Spec = streams, c.Spec
	if options.Context == 0 && length > 0 {
		f, err := hipengine.OpenFile(c.Target, options)
		if err != nil {
			return nil, "", err
		}
		most, err := f.Context()
		f.Close()
		if err != nil {
			return nil, "", err
		}
		options.Context = min(length, most)
	}
	m, err := loadWith(ctx, h, c.Target, options, std.err)
	if err != nil {
		return nil, "", err
	}
	offer, err := serve.Offer(ctx, m)
	if err != nil {
		return nil, "", err
	}
	server, err := serve.New(serve.Config{Models: []serve.Model{offer}, MaxConns: 2048})
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	go server.Serve(l) // ends with Shutdown
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(end)
	}()
	bar.start = time.Now()
	r, err := bench.Run(ctx, bench.Target{URL: "http://" + l.Addr().String(), Model: m.ID()}, o, bar.count)
	d := m.Device()
	return r, strings.TrimSpace(d.Name + " " + d.Chip), err
}

// benchServeReport is what bench serve knows, in the shape of its JSON.
type benchServeReport struct {
	*bench.Report
	Device  string `json:"device,omitempty"` // of a server of our own
	Version string `json:"bench_version"`
}

// title says what was measured.
func (r *benchServeReport) title() string {
	if r.Device != "" {
		return r.Model + " on " + r.Device
	}
	return r.Model + " at " + r.URL
}

// loads are the measurements of load with their names.
func (r *benchServeReport) loads() (names []string, loads []bench.Load) {
	for _, l := range r.Load {
		names, loads = append(names, fmt.Sprint(l.Streams)), append(loads, l)
	}
	if r.Shared != nil {
		names, loads = append(names, fmt.Sprintf("%d, shared", r.Shared.Streams)), append(loads, *r.Shared)
	}
	return names, loads
}

// milliseconds formats a time: of three digits, whatever its size.
func milliseconds(seconds float64) string {
	switch ms := 1000 * seconds; {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.2f", ms)
	}
}

func (r *benchServeReport) print(out io.Writer) error {
	fmt.Fprintln(out, r.title())
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	names, loads := r.loads()
	if len(loads) > 0 {
		fmt.Fprintln(w, "\t\t\tFIRST\tTOKEN, MS\t\tBETWEEN\tTOKENS, MS\t\t\t\t")
		fmt.Fprintln(w, "STREAMS\tREQUESTS\tTOK/S\tP50\tP90\tP99\tMEAN\tP50\tP90\tP99\tSLOWEST\tCACHED")
	}
	for i, l := range loads {
		fmt.Fprintf(w, "%s\t%d\t%.1f", names[i], l.Requests, l.Rate)
		for _, v := range []float64{l.First.P50, l.First.P90, l.First.P99, l.Between.Mean, l.Between.P50,
			l.Between.P90, l.Between.P99} {
			fmt.Fprintf(w, "\t%s", milliseconds(v))
		}
		fmt.Fprintf(w, "\t%.2f\t%s\n", l.Slowest, share(l.Cached, l.Prompt))
	}
	if err := w.Flush(); err != nil || r.Agent == nil {
		return err
	}
	if len(loads) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintln(w, "TURN\tPROMPT\tCACHED\tFIRST TOKEN, MS\tCOLD, MS")
	for i, t := range r.Agent.Turns {
		cold := ""
		if t.Cold > 0 {
			cold = milliseconds(t.Cold)
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\n", i+1, t.Prompt, t.Cached, milliseconds(t.First), cold)
	}
	return w.Flush()
}

// share formats a part of a whole.
func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}
