package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// adminFlags say which server a command talks to.
type adminFlags struct {
	URL string   `name:"url" default:"http://127.0.0.1:8080" env:"HIPENGINE_URL" help:"Address of the server."`
	Key []string `name:"admin-key" env:"HIPENGINE_ADMIN_KEY" placeholder:"KEY" help:"The server's admin key; of several, the first is used."`
}

// psCmd shows the models of a running server.
type psCmd struct {
	adminFlags
	JSON bool `help:"Print the server's JSON."`
}

// loadCmd loads a model on a running server.
type loadCmd struct {
	adminFlags
	Model string `arg:"" help:"Id of a model, as GET /v1/models lists it."`
}

// unloadCmd unloads a model on a running server.
type unloadCmd struct {
	adminFlags
	Model string `arg:"" help:"Id of a model. Requests that use it are finished first."`
}

// maxAdminAnswer is far above what a server says of its models.
const maxAdminAnswer = 16 << 20

// call sends a request to an endpoint below /admin and returns the answer.
func (f adminFlags) call(ctx context.Context, method, endpoint string, body any) ([]byte, error) {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError{fmt.Errorf("--url %q is no address such as http://127.0.0.1:8080", f.URL)}
	}
	if len(f.Key) == 0 || f.Key[0] == "" {
		return nil, usageError{errors.New("--admin-key is needed: the one that the server was started with")}
	}
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.JoinPath(endpoint).String(), bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+f.Key[0])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var e struct{ Error struct{ Message string } }
		if json.Unmarshal(answer, &e) != nil || e.Error.Message == "" {
			e.Error.Message = strings.TrimSpace(string(answer[:min(len(answer), 200)]))
		}
		return nil, fmt.Errorf("the server answers %s: %s", resp.Status, e.Error.Message)
	}
	return answer, nil
}

// Run executes the command.
func (c *psCmd) Run(ctx context.Context, std stdio) error {
	answer, err := c.call(ctx, http.MethodGet, "/admin/ps", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := std.out.Write(answer)
		return err
	}
	var ps struct {
		Models []struct {
			ID       string
			State    string
			Pinned   bool
			Bytes    int64   `json:"memory_bytes"`
			Idle     float64 `json:"idle_seconds"`
			Requests int
			Loading  int `json:"requests_loading"`
			Running  int
			Waiting  int
			Slots    int
			Context  int
		}
		Draining bool
	}
	if err := json.Unmarshal(answer, &ps); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tSTATE\tMEMORY\tRUNNING\tWAITING\tCONTEXT\tIDLE")
	for _, m := range ps.Models {
		state, idle := m.State, ""
		if m.Pinned {
			state += ", pinned"
		}
		if m.State == "loaded" && m.Requests == 0 {
			idle = time.Duration(m.Idle * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f MiB\t%d of %d\t%d\t%d\t%s\n", m.ID, state, float64(m.Bytes)/(1<<20), m.Running,
			m.Slots,
			m.Waiting+m.Loading, m.Context, idle)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if ps.Draining {
		fmt.Fprintln(std.out, "The server is draining.")
	}
	return nil
}

// Run executes the command.
func (c *loadCmd) Run(ctx context.Context, std stdio) error {
	return c.change(ctx, "/admin/load", c.Model, std)
}

// Run executes the command.
func (c *unloadCmd) Run(ctx context.Context, std stdio) error {
	return c.change(ctx, "/admin/unload", c.Model, std)
}

// change asks for a change of a model, and prints its state after that.
func (f adminFlags) change(ctx context.Context, endpoint, model string, std stdio) error {
	answer, err := f.call(ctx, http.MethodPost, endpoint, map[string]string{"model": model})
	if err != nil {
		return err
	}
	var now struct{ ID, State string }
	if err := json.Unmarshal(answer, &now); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	_, err = fmt.Fprintf(std.out, "%s: %s\n", now.ID, now.State)
	return err
}
