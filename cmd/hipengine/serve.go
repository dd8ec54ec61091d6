package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/internal/supervise"
	"github.com/hipengine/hipengine/serve"
	"github.com/hipengine/hipengine/serve/tracing"
)

// serveCmd runs the server.
type serveCmd struct {
	modelFlags
	poolFlags
	samplerFlags
	chatFlags
	specFlags
	Model       []string `arg:"" optional:"" help:"Model files, or names, which are loaded at the start; without any, Ember."`
	Host        string   `default:"127.0.0.1" env:"HIPENGINE_HOST" help:"Address to listen on, or several with commas between."`
	AllowedHost []string `name:"allowed-host" env:"HIPENGINE_ALLOWED_HOST" placeholder:"NAME" help:"Host name of requests that is answered on loopback addresses, beside those of loopback, such as that of a proxy on this machine; *.NAME for all below one, * for any."`
	Alias       []string `env:"HIPENGINE_ALIAS" placeholder:"[MODEL=]NAME" help:"Name under which the model is served; further ones mean it too. With several models, MODEL=NAME is another name for one."`
	AnyName     bool     `name:"any-name" env:"HIPENGINE_ANY_NAME" help:"Answer whatever model a request names, if one is served."`
	Tags        []string `env:"HIPENGINE_TAGS" placeholder:"[MODEL=]TAG,..." help:"Words about the model for those who list models."`
	Port        int      `default:"8080" env:"HIPENGINE_PORT" help:"Port to listen on; 0 takes a free one."`
	Parallel    int      `default:"4" env:"HIPENGINE_PARALLEL" help:"Sequences that run at once; more wait in a queue."`
	KVTokens    int      `name:"kv-tokens" default:"0" env:"HIPENGINE_KV_TOKENS" help:"Tokens that the cache of keys and values holds over all sequences; where it fills up, the sequence that came last makes room and goes on later. 0 is enough for all at full length."`
	Cache       int64    `name:"prefix-cache" default:"0" env:"HIPENGINE_PREFIX_CACHE" placeholder:"MIB" help:"Device memory in MiB for states of prompts and answers that later prompts begin with; 0 takes a little, -1 keeps none."`
	HostCache   int64    `name:"prefix-cache-host" default:"0" env:"HIPENGINE_PREFIX_CACHE_HOST" placeholder:"MIB" help:"Host memory in MiB for those that no longer fit on the device."`
	poolingFlags
	llamaFlags
	Reasoning      string        `enum:"auto,on,off" default:"auto" env:"HIPENGINE_REASONING" help:"Thoughts of models where a request says nothing of them: on, off, or auto, as the template has it."`
	ToolFormat     string        `name:"tool-format" env:"HIPENGINE_TOOL_FORMAT" placeholder:"NAME" help:"How the models write tool calls and thoughts, in place of what their templates tell: hermes, qwen-xml, llama3, mistral, mistral-list, gemma4, harmony, glm, deepseek, deepseek-fenced, deepseek-dsml, granite or plain."`
	CacheDir       string        `name:"cache-dir" env:"HIPENGINE_CACHE_DIR" placeholder:"DIR" help:"Folder for those that no longer fit, and for all when the server stops, so that they outlive it. Its files hold tokens of prompts; only their owner can read them."`
	CacheDirSize   int64         `name:"cache-dir-size" default:"10240" env:"HIPENGINE_CACHE_DIR_SIZE" placeholder:"MIB" help:"Bound for the files of --cache-dir in MiB, for each model."`
	APIKey         []string      `env:"HIPENGINE_API_KEY" placeholder:"KEY" help:"Key that clients must send; may be given several times."`
	APIKeyFile     string        `name:"api-key-file" env:"HIPENGINE_API_KEY_FILE" placeholder:"FILE" help:"File with keys that clients must send, one a line, as they are or as sha256:HASH."`
	AdminKey       []string      `env:"HIPENGINE_ADMIN_KEY" placeholder:"KEY" help:"Key for the endpoints below /admin; without one, they are closed."`
	AdminKeyFile   string        `name:"admin-key-file" env:"HIPENGINE_ADMIN_KEY_FILE" placeholder:"FILE" help:"File with keys for /admin, as --api-key-file."`
	Origin         []string      `placeholder:"URL" help:"Origin of web pages that may call, beside loopback ones."`
	Public         bool          `help:"Listen beyond this machine without an API key."`
	NoPage         bool          `name:"no-page" env:"HIPENGINE_NO_PAGE" help:"Leave out the page to chat on, which browsers get at /."`
	NoMetrics      bool          `name:"no-metrics" env:"HIPENGINE_NO_METRICS" help:"Leave out /metrics, which asks for no key."`
	MaxPerKey      int           `name:"max-per-key" env:"HIPENGINE_MAX_PER_KEY" help:"Requests of one API key at once; 0 is no bound."`
	MaxConns       int           `name:"max-conns" default:"512" env:"HIPENGINE_MAX_CONNS" help:"Connections open at once; more wait."`
	MaxBody        int64         `name:"max-body" default:"16777216" env:"HIPENGINE_MAX_BODY" help:"Bytes of a request's body."`
	StoredBytes    int64         `name:"stored-responses" default:"67108864" env:"HIPENGINE_STORED_RESPONSES" placeholder:"BYTES" help:"Bytes of responses that are kept in memory for requests that go on from them; 0 keeps none."`
	SealKey        string        `name:"seal-key" env:"HIPENGINE_SEAL_KEY" placeholder:"KEY" help:"Secret of 16 characters or more that thoughts are sealed with for clients that ask for encrypted_content, so that they are good after a restart and at other servers; without one, it is drawn at the start."`
	RequestTimeout time.Duration `name:"request-timeout" env:"HIPENGINE_REQUEST_TIMEOUT" help:"Time for a whole request; 0 is no bound."`
	DrainDelay     time.Duration `name:"drain-delay" env:"HIPENGINE_DRAIN_DELAY" help:"Time between /readyz going to 503 and the end of accepting connections, for load balancers to notice."`
	OTLP           string        `name:"otlp-endpoint" env:"HIPENGINE_OTLP_ENDPOINT" placeholder:"URL" help:"Collector of OpenTelemetry traces (OTLP over HTTP), such as http://localhost:4318; without one, nothing is traced."`
	Pprof          string        `name:"pprof" placeholder:"ADDR" help:"Offer profiles for net/http/pprof on this loopback address, such as 127.0.0.1:6060."`
	Grace          time.Duration `default:"30s" help:"Time that running answers get when the server is told to stop."`
	Supervise      string        `enum:"auto,always,never" default:"auto" env:"HIPENGINE_SUPERVISE" help:"Compute in a process of its own, which is started again if it dies: auto (with GPUs, whose runtimes end a process that faults), always or never."`
	Log            string        `enum:"text,json,none" default:"text" help:"Log of requests: text, json or none. Prompts are never logged."`
}

// Run executes the command.
func (c *serveCmd) Run(ctx context.Context, all *commands, std stdio) error {
	worker, err := supervise.AsWorker()
	if err != nil {
		return err
	}
	err = c.run(ctx, worker, all, std)
	worker.Done()
	return err
}

// run executes the command, for a supervisor if worker is not nil.
func (c *serveCmd) run(ctx context.Context, worker *supervise.Worker, all *commands, std stdio) error {
	if c.Port < 0 || c.Port > 65535 {
		return usageError{fmt.Errorf("--port %d is outside 0..65535", c.Port)}
	}
	if c.IdleUnload < 0 || c.Memory < 0 || c.Memory > 1<<40 {
		return usageError{fmt.Errorf("--idle-unload %v and --memory %d must not be negative", c.IdleUnload, c.Memory)}
	}
	models, err := c.served(all.file.models, std.err)
	if err != nil {
		return err
	}
	for _, m := range models.models {
		if err := c.fetch(ctx, std.err, m.Name); err != nil {
			return err
		}
	}
	if c.CacheDirSize < 1 || c.CacheDirSize > 1<<40 || c.CacheDir != "" && c.Cache < 0 {
		return usageError{fmt.Errorf(
			"--cache-dir-size %d is outside 1..%d, or --cache-dir is given without a prefix cache", c.CacheDirSize,
			int64(1)<<40)}
	}
	config, err := c.config(std)
	if err != nil {
		return err
	}
	if config.Aliases, err = c.aliases(&models); err != nil {
		return err
	}
	if config.Tags, err = c.tags(models); err != nil {
		return err
	}
	if c.OTLP != "" {
		config.Tracer, err = tracing.New(ctx, c.OTLP, config.Version, func(err error) {
			if config.Log != nil {
				config.Log.Warn("traces", "error", err)
			}
		})
		if err != nil {
			return usageError{err}
		}
		defer func() { // after the requests; what the collector does not take in a few seconds is lost
			end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := config.Tracer.Close(end); err != nil {
				fmt.Fprintf(std.err, "hipengine: %v\n", err)
			}
		}()
	}
	server, err := serve.New(config)
	if err != nil {
		return usageError{err}
	}
	if worker == nil {
		switch yes, err := c.supervised(all.Profile, models.devices(), hasGPU); {
		case err != nil:
			return err
		case yes:
			return c.supervise(ctx, config, std)
		}
	}
	c.memory = c.Memory << 20
	h, err := c.host(std.err)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := c.listen(worker)
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
			return usageError{fmt.Errorf("--pprof %s can be reached from other machines; name a loopback address",
				c.Pprof)}
		}
		go server.ServeDebug(d) // ends with the server
		fmt.Fprintf(std.err, "hipengine: profiles on http://%s/debug/pprof/\n", d.Addr())
	}

	// Health checks answer 503 until SetSource. The host closes the models when the server has stopped using them.
	p, err := c.pool(h, models, worker, config.Log, std)
	if err != nil {
		return errors.Join(err, server.Shutdown(ctx))
	}
	for _, id := range models.start {
		if err := p.Load(ctx, id); err != nil {
			return errors.Join(err, server.Shutdown(ctx))
		}
	}
	server.SetSource(serve.FromPool(p))
	select {
	case err := <-served: // it never came up
		return err
	default:
	}
	worker.Ready()
	if worker == nil {
		notify(daemon.SdNotifyReady, std.err)
	}
	for _, m := range p.List() {
		when := ""
		if m.State != pool.Loaded {
			when = ", loaded on demand"
		}
		fmt.Fprintf(std.err, "hipengine: serving %s on http://%s/v1%s\n", m.ID, l.Addr(), when)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if worker == nil {
		notify(daemon.SdNotifyStopping, std.err)
	}
	fmt.Fprintln(std.err, "hipengine: stopping; running answers may finish")
	stop, cancel := context.WithTimeout(context.Background(), c.DrainDelay+c.Grace)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return fmt.Errorf("answers were cut short after %v: %w", c.Grace, err)
	}
	return nil
}

// notify tells a service manager, if there is one, what state the service is in.
func notify(state string, log io.Writer) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		fmt.Fprintf(log, "hipengine: NOTIFY_SOCKET: %v\n", err)
	}
}

// listen returns where requests come from.
func (c *serveCmd) listen(worker *supervise.Worker) (net.Listener, error) {
	if worker != nil {
		return worker.Listener(), nil
	}
	var all []net.Listener
	var hosts []string
	port := c.Port
	for host := range strings.SplitSeq(c.Host, ",") {
		host = strings.TrimSpace(host)
		if in, ok := strings.CutPrefix(host, "["); ok { // IPv6, as in URLs
			host = strings.TrimSuffix(in, "]")
		}
		if slices.Contains(hosts, host) {
			continue
		}
		hosts = append(hosts, host)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil && port != 0 && slices.ContainsFunc(all, func(l net.Listener) bool { return listensAt(l, host) }) {
			continue // a name of an address that is taken already, by this server
		}
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, err
		}
		all = append(all, l)
		port = l.Addr().(*net.TCPAddr).Port // all have the one that was free
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return serve.JoinListeners(all...), nil
}

// listensAt reports whether a host is a name of the address of a listener.
func listensAt(l net.Listener, host string) bool {
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, "0"))
	return err == nil && a.IP.Equal(l.Addr().(*net.TCPAddr).IP)
}

// config returns what the flags say of the server.
func (c *serveCmd) config(std stdio) (serve.Config, error) {
	version, _ := programVersion()
	config := serve.Config{
		APIKeys: c.APIKey, AdminKeys: c.AdminKey, AllowedOrigins: c.Origin,
		AllowedHosts: c.AllowedHost, AnyName: c.AnyName, Lenient: c.Lenient, Reasoning: c.reasoning(),
		LlamaRoutes: c.LlamaRoutes,
		AllowPublic: c.Public, NoPage: c.NoPage, NoMetrics: c.NoMetrics,
		MaxPerKey: c.MaxPerKey,
		MaxConns:  c.MaxConns, RequestTimeout: c.RequestTimeout, DrainDelay: c.DrainDelay, Log: c.logger(std),
		Version: version, SealKey: c.SealKey,
	}
	config.Limits.BodyBytes = c.MaxBody
	if config.StoredBytes = c.StoredBytes; c.StoredBytes == 0 {
		config.StoredBytes = -1
	}
	var err error
	if config.Sampling, err = c.params().Overrides(); err != nil {
		return config, usageError{err}
	}
	if c.MaxPerKey < 0 || c.MaxConns < 1 || c.MaxConns > 1<<16 || c.MaxBody < 1 || c.MaxBody > 1<<30 {
		return config, usageError{fmt.Errorf(
			"--max-per-key %d, --max-conns %d or --max-body %d is outside 0.., 1..%d or 1..%d",
			c.MaxPerKey, c.MaxConns, c.MaxBody, 1<<16, 1<<30)}
	}
	if c.StoredBytes < 0 {
		return config, usageError{fmt.Errorf("--stored-responses %d must not be negative", c.StoredBytes)}
	}
	if c.SealKey != "" && len(c.SealKey) < 16 {
		return config, usageError{errors.New("--seal-key is shorter than 16 characters")}
	}
	if c.RequestTimeout < 0 || c.DrainDelay < 0 || c.Grace < 0 {
		return config, usageError{fmt.Errorf(
			"--request-timeout %v, --drain-delay %v and --grace %v must not be negative", c.RequestTimeout,
			c.DrainDelay, c.Grace)}
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
