package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine"
)

// TestTags says of which model they are.
func TestTags(t *testing.T) {
	for _, c := range []struct {
		models, tags, of, want, err string
	}{
		{models: "a", tags: "x y", of: "a", want: "x y"},
		{models: "a b", tags: "b=x b=y a=z", of: "b", want: "x y"},
		{models: "a b", tags: "x", err: "MODEL=x"},
		{models: "a", tags: "=x", err: "want TAG or MODEL=TAG"},
	} {
		var s served
		for _, id := range strings.Fields(c.models) {
			s.models = append(s.models, hipengine.PoolModel{Options: hipengine.Options{ID: id}})
		}
		cmd := serveCmd{Tags: strings.Fields(c.tags)}
		tags, err := cmd.tags(s)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) ||
			strings.Join(tags[c.of], " ") != c.want {
			t.Errorf("%s for %s: %v, %v", c.tags, c.models, tags, err)
		}
	}
}

func TestAliases(t *testing.T) {
	for _, c := range []struct {
		name       string
		models     string // IDs
		alias      string // flags, separated by spaces
		ids        string
		names, err string
	}{
		{name: "none", models: "a", ids: "a"},
		{name: "another name for the only one", models: "a", alias: "x", ids: "x"},
		{name: "more names", models: "a", alias: "x y", ids: "x", names: "y=x"},
		{name: "by name", models: "a b", alias: "a=x b=y", ids: "a b", names: "x=a y=b"},
		{name: "by path", models: "a", alias: "/models/a.gguf=x", ids: "a", names: "x=a"},
		{name: "of which", models: "a b", alias: "x", err: "MODEL=x"},
		{name: "of nothing", models: "a b", alias: "c=x", err: "no model c"},
		{name: "taken by a model", models: "a b", alias: "a=b", err: "another model has this name"},
		{name: "taken by an alias", models: "a b", alias: "a=x b=x", err: "another model has this name"},
		{name: "empty", models: "a", alias: "=", err: "want NAME or MODEL=NAME"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s served
			for _, id := range strings.Fields(c.models) {
				s.models = append(s.models, hipengine.PoolModel{Options: hipengine.Options{ID: id}})
				s.start = append(s.start, id)
			}
			cmd := serveCmd{Alias: strings.Fields(c.alias)}
			names, err := cmd.aliases(&s)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			var got []string
			for _, name := range slices.Sorted(maps.Keys(names)) {
				got = append(got, name+"="+names[name])
			}
			var ids []string
			for _, m := range s.models {
				ids = append(ids, m.Options.ID)
			}
			if err != nil || strings.Join(ids, " ") != c.ids || strings.Join(s.start, " ") != c.ids ||
				strings.Join(got, " ") != c.names {
				t.Errorf("ids %v, start %v, names %v, error %v", ids, s.start, got, err)
			}
		})
	}
}

// TestListenIPv6 takes an address as URLs have it, and as the system does.
func TestListenIPv6(t *testing.T) {
	for _, host := range []string{"[::1]", "::1"} {
		l, err := (&serveCmd{Host: host}).listen(nil)
		if err != nil {
			if strings.Contains(err.Error(), "cannot assign") || strings.Contains(err.Error(), "not supported") {
				continue // a machine without IPv6
			}
			t.Fatal(err)
		}
		if got := l.Addr().String(); !strings.HasPrefix(got, "[::1]:") {
			t.Errorf("%s: listens on %s", host, got)
		}
		l.Close()
	}
}

// TestListenTwice names one address in several ways.
func TestListenTwice(t *testing.T) {
	l, err := (&serveCmd{Host: "127.0.0.1, localhost,127.0.0.1"}).listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Addr().String(); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("listens on %s", got)
	}
	l.Close()
}
