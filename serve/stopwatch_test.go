package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// silent is an observer that nothing comes of.
type silent struct{}

func (silent) Started() {}
func (silent) Drew()    {}
func (silent) Ended()   {}

func TestStopwatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stopwatch{next: silent{}, total: 100, notify: make(chan struct{}, 1)}
		if got := *s.timings(0); got != (openai.Timings{}) {
			t.Errorf("before it began: %+v", got)
		}
		s.Started()
		s.Read(40)
		time.Sleep(100 * time.Millisecond)
		s.Read(70)
		time.Sleep(200 * time.Millisecond)
		s.Read(100)
		s.Drew()
		if got := *s.timings(1); got.PromptMS != 300 || got.PredictedN != 1 || got.PredictedPerSecond != 0 ||
			got.PredictedPerTokenMS != 0 || got.PredictedMS <= 0 {
			t.Errorf("after one token: %+v", got)
		}
		for range 4 {
			time.Sleep(50 * time.Millisecond)
			s.Drew()
		}
		s.Ended()
		want := openai.Timings{CacheN: 40, PromptN: 60, PromptMS: 300, PromptPerTokenMS: 5, PromptPerSecond: 200,
			PredictedN:  5,
			PredictedMS: 200, PredictedPerTokenMS: 50, PredictedPerSecond: 20}
		if got := *s.timings(5); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		short := &stopwatch{next: silent{}, total: 3}
		short.Started()
		short.Read(0)
		time.Sleep(30 * time.Millisecond)
		short.Read(3)
		short.Drew()
		if got := *short.timings(1); got.CacheN != 0 || got.PromptN != 3 || got.PromptMS != 30 {
			t.Errorf("of a prompt that nothing was kept of: %+v", got)
		}
		<-s.notify
		list := s.takeProgress()
		if len(list) != 3 || len(s.takeProgress()) != 0 {
			t.Fatalf("progress %v", list)
		}
		if p := *list[1].wire(); p != (openai.PromptProgress{Total: 100, Cache: 40, Processed: 70, TimeMS: 100}) {
			t.Errorf("%+v", p)
		}
		if got := *list[0].timings(); got != (openai.Timings{CacheN: 40}) {
			t.Errorf("%+v", got)
		}
		if got := *list[1].timings(); got.PromptN != 30 || got.PromptMS != 100 || got.PredictedN != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestTimings: answers say how long they took, in the last chunk of a stream and, if asked, in each; and how far the
// prompt is.
func TestTimings(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc", Lim: runner.Limits{Batch: 8}}, nil)
	type chunk struct {
		Choices  []any
		Timings  *openai.Timings
		Progress *openai.PromptProgress `json:"prompt_progress"`
	}
	for _, c := range []struct{ path, body string }{
		{"/v1/chat/completions", hi}, {"/v1/completions", `{"prompt":"a prompt of some bytes"`},
	} {
		_, _, body := s.call(t, http.MethodPost, c.path, c.body+`}`)
		var whole chunk
		if err := json.Unmarshal([]byte(body), &whole); err != nil || whole.Timings == nil ||
			whole.Timings.PredictedN != 4 || whole.Timings.PromptN < 10 {
			t.Errorf("%s: %s, %v", c.path, body, err)
		}
		for _, fields := range []string{"",
			`,"timings_per_token":true,"return_progress":true,"stream_options":{"include_usage":true}`} {
			_, _, body := s.call(t, http.MethodPost, c.path, c.body+`,"stream":true`+fields+`}`)
			timed, progress, drawn := 0, 0, 0
			for line := range strings.Lines(body) {
				data, ok := strings.CutPrefix(line, "data: {")
				if !ok {
					continue
				}
				var e chunk
				if err := json.Unmarshal([]byte("{"+data), &e); err != nil {
					t.Fatal(err)
				}
				if e.Timings != nil {
					timed++
					if e.Timings.PredictedN < drawn {
						t.Errorf("%s: timings go back: %s", c.path, body)
					}
					drawn = e.Timings.PredictedN
				}
				if p := e.Progress; p != nil {
					if progress++; p.Processed < p.Cache || p.Total < p.Processed || drawn > 0 {
						t.Errorf("%s: progress %+v", c.path, p)
					}
				}
			}
			if fields == "" && (timed != 1 || progress != 0) || fields != "" && (timed < 4+progress || progress < 3) {
				t.Errorf("%s%s: %d timings and %d reports of progress in\n%s", c.path, fields, timed, progress, body)
			}
		}
	}
}

// TestResponseTimings: the events of a response say the same, if they are asked to.
func TestResponseTimings(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc", Lim: runner.Limits{Batch: 8}}, nil)
	for _, fields := range []string{"", `,"timings_per_token":true,"return_progress":true`} {
		_, _, body := s.call(t, http.MethodPost, "/v1/responses",
			`{"model":"fake","input":"a prompt of some bytes","stream":true`+fields+`}`)
		timed, progress := map[string]int{}, 0
		for line := range strings.Lines(body) {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				continue
			}
			var known struct {
				Type     string
				Timings  *openai.Timings
				Progress *openai.PromptProgress `json:"prompt_progress"`
			}
			if err := json.Unmarshal([]byte(data), &known); err != nil {
				t.Fatal(err)
			}
			if known.Timings != nil {
				timed[known.Type]++
			}
			if p := known.Progress; p != nil {
				if progress++; p.Processed < p.Cache || p.Total < p.Processed || known.Type != openai.EventInProgress {
					t.Errorf("progress in %s", data)
				}
			}
		}
		asked := fields != ""
		if deltas := timed[openai.EventTextDelta]; asked != (deltas == 3) || asked != (progress >= 3) ||
			asked != (timed[openai.EventCompleted] == 1) || asked != (timed[openai.EventInProgress] == progress && progress > 0) {
			t.Errorf("%s: timings %v and %d reports of progress in\n%s", fields, timed, progress, body)
		}
	}
}
