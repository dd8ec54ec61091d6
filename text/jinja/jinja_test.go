package jinja

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestJinjaCases renders the templates of testdata/jinja_cases.json, whose results were made by Jinja itself
// (testdata/jinja_cases.py).
func TestJinjaCases(t *testing.T) {
	raw, err := os.ReadFile("testdata/jinja_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vars  map[string]json.RawMessage
		Cases []struct {
			Name, Template string
			Output, Error  *string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	in := input{vars: file.Vars, now: time.Date(2026, 11, 22, 7, 5, 9, 123456000, time.UTC)}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := renderSource(c.Template, in)
			switch {
			case c.Error != nil && err == nil:
				t.Errorf("%s\nrendered to %q, Jinja has %s", c.Template, got, *c.Error)
			case c.Error == nil && err != nil:
				t.Errorf("%s\n%v", c.Template, err)
			case c.Error == nil && got != *c.Output:
				t.Errorf("%s\ngot  %q\nwant %q", c.Template, got, *c.Output)
			}
		})
	}
}
