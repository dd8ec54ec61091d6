package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/models/hub"
)

// pullCmd fetches a model.
type pullCmd struct {
	Model       string `arg:"" placeholder:"hf:OWNER/NAME:QUANT" help:"hf:OWNER/NAME, with @REVISION behind it, and with :QUANT (Q4_K_M) or /FILE behind that; or the address of its page."`
	Verify      bool   `help:"Read again what is in the cache, and fetch it anew if it is damaged."`
	Connections int    `default:"4" help:"Parts of a file that are fetched at the same time, at most 16."`
}

// Run executes the command.
func (c *pullCmd) Run(ctx context.Context, std stdio) error {
	if c.Connections < 1 || c.Connections > 16 {
		return usageError{fmt.Errorf("--connections %d is outside 1..16", c.Connections)}
	}
	r, err := hub.ParseRef(refName(c.Model))
	if err != nil {
		return usageError{err}
	}
	path, err := pull(ctx, r, c.Connections, c.Verify, std.err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, path)
	return err
}

var (
	hubAddress = regexp.MustCompile(`^(https?://)?(www\.)?(huggingface\.co|hf\.co)/`)
	hubPage    = regexp.MustCompile(`^([^/:]+/[^/:]+)/(?:tree|blob|resolve)/([^/?]+)(/[^?]+)?(\?.*)?$`)
)

// refName returns the name of a model on a hub whose address, or OWNER/NAME alone, is given.
func refName(s string) string {
	if hub.IsRef(s) {
		return s
	}
	path := strings.TrimSuffix(hubAddress.ReplaceAllString(s, ""), "/")
	return hub.Scheme + hubPage.ReplaceAllString(path, "$1@$2$3")
}

// pull fetches a model into the cache, with progress on log, and returns its path.
func pull(ctx context.Context, r hub.Ref, connections int, verify bool, log io.Writer) (string, error) {
	client, err := hub.DefaultClient()
	if err != nil {
		return "", err
	}
	bar := newProgress(log, "fetching "+r.String())
	defer bar.done()
	version, _ := programVersion()
	client.Agent, client.Connections, client.Verify = "hipengine/"+version, connections, verify
	client.Log = func(message string) { fmt.Fprintf(log, "hipengine: %s\n", message) }
	var came int64
	client.Progress = func(done, total int64) {
		came = done
		bar.update(done, total)
	}
	path, err := client.Pull(ctx, hub.DefaultCache(), r)
	bar.done()
	if err == nil && came > 0 {
		fmt.Fprintf(log, "hipengine: fetched %.2f GB of %v in %v\n", float64(came)/1e9, r,
			time.Since(bar.start).Round(time.Second))
	}
	return path, err
}

// fetch fetches those of the named models that are missing, if the flag --pull says so.
func (f modelFlags) fetch(ctx context.Context, log io.Writer, names ...string) error {
	for _, name := range names {
		if !f.Pull || !hub.IsRef(name) {
			continue
		}
		r, err := hub.ParseRef(name)
		if err != nil {
			return usageError{err}
		}
		if _, err := hub.DefaultCache().Find(r); err == nil {
			continue
		}
		if _, err := pull(ctx, r, 0, false, log); err != nil {
			return err
		}
	}
	return nil
}

// listCmd lists models on this machine.
type listCmd struct {
	Models string `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
	JSON   bool   `help:"Print JSON."`
}

// listed is a model on this machine.
type listed struct {
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
}

// Run executes the command.
func (c *listCmd) Run(std stdio) error {
	all, err := list(c.Models)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", " ")
		return e.Encode(all)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "NAME\tGB\tMODIFIED\tPATH\n")
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\n", m.Name, float64(m.Bytes)/1e9, m.Modified.Format("2006-01-02"), m.Path)
	}
	return w.Flush()
}

// list returns the models of a folder, and then those of the cache.
func list(folder string) ([]listed, error) {
	all := []listed{}
	found, err := hipengine.Installed(folder)
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		all = append(all, listed{m.Name, m.Path, m.Bytes, m.Modified})
	}
	cached, err := hub.DefaultCache().List()
	if err != nil {
		return nil, err
	}
	for _, m := range cached {
		all = append(all, listed{m.Ref.String(), m.Path, m.Bytes, m.Time})
	}
	return all, nil
}

// rmCmd removes models.
type rmCmd struct {
	Model  []string `arg:"" help:"Name of a model as list shows it; hf:OWNER/NAME alone is everything that was fetched of it."`
	Models string   `env:"HIPENGINE_MODELS" placeholder:"DIR" help:"Folder in which models are found by name (default: hipengine/models in the XDG data folder)."`
}

// Run executes the command.
func (c *rmCmd) Run(std stdio) error {
	for _, name := range c.Model {
		freed, err := remove(name, c.Models)
		if err != nil {
			return err
		}
		fmt.Fprintf(std.out, "%s: %.2f GB are free again\n", name, float64(freed)/1e9)
	}
	return nil
}

// remove removes a model, and returns the bytes that became free. Only names work: what has a path was not put there
// by this program.
func remove(name, folder string) (int64, error) {
	if hub.IsRef(name) {
		r, err := hub.ParseRef(name)
		if err != nil {
			return 0, usageError{err}
		}
		freed, err := hub.DefaultCache().Remove(r)
		if missing := new(*hub.NotCachedError); errors.As(err, missing) {
			return 0, &hipengine.NotFoundError{Name: name, Err: *missing}
		}
		return freed, err
	}
	found, err := hipengine.Installed(folder)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(found, func(m hipengine.Installation) bool { return m.Name == name })
	if i < 0 {
		if strings.ContainsRune(name, os.PathSeparator) {
			return 0, usageError{fmt.Errorf("%s: rm takes the name of a model, as list shows it", name)}
		}
		if folder == "" {
			folder = hipengine.ModelFolder()
		}
		return 0, &hipengine.NotFoundError{Name: name, Folder: folder, Similar: hipengine.Similar(name, folder)}
	}
	for _, path := range found[i].Files {
		if err := os.RemoveAll(path); err != nil {
			return 0, err
		}
	}
	return found[i].Bytes, nil
}
