package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hipengine/hipengine/ops"
)

// Report is what Run found. It marshals to JSON as it is.
type Report struct {
	Device  ops.Info // the device that was checked: what it calls itself, its target and driver
	Commit  string   // of the module that ran the suite; empty if the build does not say
	Suite   string   // Version
	Seed    uint64
	NoSkip  bool
	Results []Result
}

func newReport(dev ops.Info, o Options) *Report {
	r := &Report{Device: dev, Suite: Version, Seed: o.Seed, NoSkip: o.NoSkip, Results: []Result{}}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				r.Commit = s.Value
			}
		}
	}
	return r
}

// Failures returns the results that count against the device.
func (r *Report) Failures() []Result {
	var fs []Result
	for _, x := range r.Results {
		if !x.OK(r.NoSkip) {
			fs = append(fs, x)
		}
	}
	return fs
}

// Err returns nil if the device conforms, else an error that counts the failures and names the first. A report without
// results is an error: nothing was checked.
func (r *Report) Err() error {
	if len(r.Results) == 0 {
		return fmt.Errorf("conformance: no check matched")
	}
	fs := r.Failures()
	if len(fs) == 0 {
		return nil
	}
	return fmt.Errorf("conformance: %d of %d checks failed on %s, first %s: %s: %s", len(fs), len(r.Results),
		r.Device.Name, fs[0].Name, fs[0].Verdict, fs[0].Detail)
}

// Counts returns the number of results by verdict.
func (r *Report) Counts() map[Verdict]int {
	n := map[Verdict]int{}
	for _, x := range r.Results {
		n[x.Verdict]++
	}
	return n
}

// leg names the implementation that ran, in the device's own words, so that no result is taken for another's.
func (r *Report) leg() string {
	s := fmt.Sprintf("device %s, target %s", r.Device.Name, r.Device.Target)
	if r.Device.Model != "" {
		s += ", " + r.Device.Model
	}
	if r.Device.Driver != "" {
		s += ", driver " + r.Device.Driver
	}
	return s
}

// summary is the report in one line.
func (r *Report) summary() string {
	n := r.Counts()
	return fmt.Sprintf("%d checks: %d pass, %d fail, %d unsupported, %d skip", len(r.Results), n[Pass], n[Fail],
		n[Unsupported], n[Skip])
}

// WriteText writes a table of one line for each check that did not pass and, if verbose, for the others as well.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "conformance suite %s, seed %d, commit %s\n%s\n", r.Suite, r.Seed, orUnknown(r.Commit), r.leg())
	for _, x := range r.Results {
		if x.Verdict == Pass && !verbose {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%.3g\t%.3g\t%s\n", x.Verdict, x.Name, x.Metrics.NMSE, x.Bound, x.Detail)
	}
	fmt.Fprintln(t, r.summary())
	return t.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// WriteJSON writes the report as indented JSON, which unmarshals into a Report. Metrics that are NaN or infinite,
// which JSON lacks, are written as strings.
func (r *Report) WriteJSON(w io.Writer) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("conformance: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// number is a float64 that survives JSON whatever its value.
type number float64

// MarshalJSON writes a number, or the strings "NaN", "+Inf" and "-Inf".
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); f-f != 0 {
		return json.Marshal(fmt.Sprint(f))
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

// metricsJSON is Metrics on its way to and from JSON.
type metricsJSON struct{ NMSE, MaxAbs, MaxULP, KL, Top1 number }

// MarshalJSON implements json.Marshaler.
func (m Metrics) MarshalJSON() ([]byte, error) {
	return json.Marshal(metricsJSON{number(m.NMSE), number(m.MaxAbs), number(m.MaxULP), number(m.KL), number(m.Top1)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metrics) UnmarshalJSON(b []byte) error {
	var j metricsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*m = Metrics{float64(j.NMSE), float64(j.MaxAbs), float64(j.MaxULP), float64(j.KL), float64(j.Top1)}
	return nil
}
