package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// healthCmd asks a server whether it is ready.
type healthCmd struct {
	URL     string        `name:"url" default:"http://127.0.0.1:8080" env:"HIPENGINE_URL" help:"Address of the server."`
	Timeout time.Duration `default:"5s" help:"How long the answer may take."`
}

// Run executes the command.
func (c *healthCmd) Run(ctx context.Context, std stdio) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usageError{fmt.Errorf("--url %q is no address such as http://127.0.0.1:8080", c.URL)}
	}
	if c.Timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %v must be positive", c.Timeout)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("/readyz").String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %s", resp.Status)
	}
	_, err = fmt.Fprintln(std.out, "ready")
	return err
}
