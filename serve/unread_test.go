package serve

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/toolcall"
)

// TestUnread refuses variables that a template does not know by name, unless they ask for nothing or the server is
// lenient.
func TestUnread(t *testing.T) {
	hermes, err := toolcall.ByName("hermes")
	if err != nil {
		t.Fatal(err)
	}
	const effort, on = `"reasoning_effort":"high"`, `"chat_template_kwargs":{"enable_thinking":true}`
	for _, c := range []struct {
		name, members string
		knows         string // a variable of the template
		format        *toolcall.Format
		lenient       bool
		want          string // in the error
	}{
		{name: "nothing", members: `"n":1`},
		{name: "effort", members: effort, want: "reasoning_effort"},
		{name: "no effort", members: `"reasoning_effort":"none"`},
		{name: "effort, which the template knows", members: effort, knows: "reasoning_effort"},
		{name: "effort of one that knows another name", members: effort, knows: "enable_thinking"},
		{name: "effort of one that thinks", members: effort, format: hermes},
		{name: "effort of one that may think", members: effort, format: toolcall.Detect("{{ messages }}"),
			want: "reasoning_effort"},
		{name: "effort of one whose template has thoughts", members: effort,
			format: toolcall.Detect("{{ messages }}<think>")},
		{name: "thinking", members: on, want: "enable_thinking"},
		{name: "thinking, lenient", members: on, lenient: true},
		{name: "another variable", members: `"chat_template_kwargs":{"preserve_thinking":true}`, format: hermes,
			want: "preserve_thinking"},
	} {
		s := open(t, &fake.Runner{}, func(config *Config) {
			config.Lenient = c.lenient
			m := &config.Models[0]
			m.Uses = func(name string) bool { return name == c.knows }
			m.Format = c.format
		})
		status, _, body := s.call(t, http.MethodPost, "/v1/chat/completions",
			`{"model":"fake","max_tokens":1,"messages":[{"role":"user","content":"Hi"}],`+c.members+`}`)
		if want := c.want == ""; (status == http.StatusOK) != want || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
}
