package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hipengine/hipengine/serve"
)

// serveCmd runs the server.
type serveCmd struct {
	modelFlags
	Model          []string      `arg:"" optional:"" help:"Model files, or names; without any, Ember."`
	Host           string        `default:"127.0.0.1" env:"HIPENGINE_HOST" help:"Address to listen on."`
	Port           int           `default:"8080" env:"HIPENGINE_PORT" help:"Port to listen on; 0 takes a free one."`
	Parallel       int           `default:"4" env:"HIPENGINE_PARALLEL" help:"Sequences that run at once; more wait in a queue."`
	Cache          int64         `name:"prefix-cache" default:"0" env:"HIPENGINE_PREFIX_CACHE" placeholder:"MIB" help:"Device memory in MiB for states of prompts and answers that later prompts begin with; 0 takes a little, -1 keeps none."`
	HostCache      int64         `name:"prefix-cache-host" default:"0" env:"HIPENGINE_PREFIX_CACHE_HOST" placeholder:"MIB" help:"Host memory in MiB for those that no longer fit on the device."`
	ToolFormat     string        `name:"tool-format" env:"HIPENGINE_TOOL_FORMAT" placeholder:"NAME" help:"How the models write tool calls and thoughts, in place of what their templates tell: hermes, qwen-xml, llama3, mistral, mistral-list, gemma4, harmony, glm, deepseek, deepseek-fenced, deepseek-dsml, granite or plain."`
	APIKey         []string      `env:"HIPENGINE_API_KEY" placeholder:"KEY" help:"Key that clients must send; may be given several times."`
	APIKeyFile     string        `name:"api-key-file" env:"HIPENGINE_API_KEY_FILE" placeholder:"FILE" help:"File with keys that clients must send, one a line, as they are or as sha256:HASH."`
	AdminKey       []string      `env:"HIPENGINE_ADMIN_KEY" placeholder:"KEY" help:"Key for the endpoints below /admin; without one, they are closed."`
	AdminKeyFile   string        `name:"admin-key-file" env:"HIPENGINE_ADMIN_KEY_FILE" placeholder:"FILE" help:"File with keys for /admin, as --api-key-file."`
	Origin         []string      `placeholder:"URL" help:"Origin of web pages that may call, beside loopback ones."`
	Public         bool          `help:"Listen beyond this machine without an API key."`
	MaxPerKey      int           `name:"max-per-key" env:"HIPENGINE_MAX_PER_KEY" help:"Requests of one API key at once; 0 is no bound."`
	MaxConns       int           `name:"max-conns" default:"512" env:"HIPENGINE_MAX_CONNS" help:"Connections open at once; more wait."`
	MaxBody        int64         `name:"max-body" default:"16777216" env:"HIPENGINE_MAX_BODY" help:"Bytes of a request's body."`
	RequestTimeout time.Duration `name:"request-timeout" env:"HIPENGINE_REQUEST_TIMEOUT" help:"Time for a whole request; 0 is no bound."`
	DrainDelay     time.Duration `name:"drain-delay" env:"HIPENGINE_DRAIN_DELAY" help:"Time between /readyz going to 503 and the end of accepting connections, for load balancers to notice."`
	Pprof          string        `name:"pprof" placeholder:"ADDR" help:"Offer profiles for net/http/pprof on this loopback address, such as 127.0.0.1:6060."`
	Grace          time.Duration `default:"30s" help:"Time that running answers get when the server is told to stop."`
	Log            string        `enum:"text,json,none" default:"text" help:"Log of requests: text, json or none. Prompts are never logged."`
}

// Run executes the command.
func (c *serveCmd) Run(ctx context.Context, std stdio) error {
	if c.Port < 0 || c.Port > 65535 || c.Parallel < 1 || c.Parallel > 1024 {
		return usageError{fmt.Errorf("--port %d or --parallel %d is outside 0..65535 or 1..1024", c.Port, c.Parallel)}
	}
	if c.Cache < -1 || c.HostCache < 0 || max(c.Cache, c.HostCache) > 1<<40 || c.Cache < 0 && c.HostCache > 0 {
		return usageError{fmt.Errorf("--prefix-cache %d must be -1 or more, and --prefix-cache-host %d not negative, and 0 "+
			"without a prefix cache", c.Cache, c.HostCache)}
	}
	config, err := c.config(std)
	if err != nil {
		return err
	}
	server, err := serve.New(config)
	if err != nil {
		return usageError{err}
	}
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	if c.Pprof != "" {
		d, err := net.Listen("tcp", c.Pprof)
		if err != nil {
			return err
		}
		if !serve.IsLocal(d.Addr()) {
			return usageError{fmt.Errorf("--pprof %s can be reached from other machines; name a loopback address", c.Pprof)}
		}
		go server.ServeDebug(d) // ends with the server
		fmt.Fprintf(std.err, "hipengine: profiles on http://%s/debug/pprof/\n", d.Addr())
	}

	names := c.Model
	if len(names) == 0 {
		names = []string{""}
	}
	// Health checks answer 503 until SetModels. The host closes the models when the server has stopped using them.
	var offered []serve.Model
	for _, name := range names {
		o := c.options()
		o.ToolFormat = c.ToolFormat
		o.Sequences, o.PrefixCache, o.PrefixCacheHost = c.Parallel, c.Cache<<20, c.HostCache<<20
		m, err := loadWith(ctx, h, name, o, std.err)
		if err != nil {
			return errors.Join(err, server.Shutdown(ctx))
		}
		offer, err := serve.Offer(ctx, m)
		if err != nil {
			return errors.Join(err, server.Shutdown(ctx))
		}
		offered = append(offered, offer)
	}
	if err := server.SetModels(offered...); err != nil {
		return err
	}
	select {
	case err := <-served: // it never came up
		return err
	default:
	}
	for _, m := range offered {
		fmt.Fprintf(std.err, "hipengine: serving %s on http://%s/v1\n", m.ID, l.Addr())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(std.err, "hipengine: stopping; running answers may finish")
	stop, cancel := context.WithTimeout(context.Background(), c.DrainDelay+c.Grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return fmt.Errorf("answers were cut short after %v: %w", c.Grace, err)
	}
	return nil
}

// config returns what the flags say of the server.
func (c *serveCmd) config(std stdio) (serve.Config, error) {
	version, _ := programVersion()
	config := serve.Config{
		APIKeys: c.APIKey, AdminKeys: c.AdminKey, AllowedOrigins: c.Origin, AllowPublic: c.Public, MaxPerKey: c.MaxPerKey,
		MaxConns: c.MaxConns, RequestTimeout: c.RequestTimeout, DrainDelay: c.DrainDelay, Log: c.logger(std), Version: version,
	}
	config.Limits.BodyBytes = c.MaxBody
	if c.MaxPerKey < 0 || c.MaxConns < 1 || c.MaxConns > 1<<16 || c.MaxBody < 1 || c.MaxBody > 1<<30 {
		return config, usageError{fmt.Errorf("--max-per-key %d, --max-conns %d or --max-body %d is outside 0.., 1..%d or 1..%d",
			c.MaxPerKey, c.MaxConns, c.MaxBody, 1<<16, 1<<30)}
	}
	if c.RequestTimeout < 0 || c.DrainDelay < 0 || c.Grace < 0 {
		return config, usageError{fmt.Errorf("--request-timeout %v, --drain-delay %v and --grace %v must not be negative", c.RequestTimeout, c.DrainDelay, c.Grace)}
	}
	for _, f := range []struct {
		path string
		keys *[]string
	}{{c.APIKeyFile, &config.APIKeys}, {c.AdminKeyFile, &config.AdminKeys}} {
		if f.path == "" {
			continue
		}
		keys, err := readKeys(f.path)
		if err != nil {
			return config, fmt.Errorf("%s: %w", f.path, err)
		}
		*f.keys = append(*f.keys, keys...)
	}
	return config, nil
}

func readKeys(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return serve.ReadKeys(f)
}

func (c *serveCmd) logger(std stdio) *slog.Logger {
	switch c.Log {
	case "json":
		return slog.New(slog.NewJSONHandler(std.err, nil))
	case "text":
		return slog.New(slog.NewTextHandler(std.err, nil))
	}
	return nil
}
