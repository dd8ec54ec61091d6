package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/pkg/profile"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/internal/supervise"
	"github.com/hipengine/hipengine/models/hub"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// commands is the command line.
type commands struct {
	Profile string `enum:",cpu,mem,alloc,block,mutex,goroutine,trace" default:"" placeholder:"KIND" help:"Write a profile of this kind to the current folder (cpu, mem, alloc, block, mutex, goroutine, trace)."`
	Config  string `env:"HIPENGINE_CONFIG" placeholder:"FILE" help:"TOML file with values of flags (default: hipengine/config.toml in the user's configuration folder, else in /etc)."`

	Run        runCmd        `cmd:"" help:"Answer one prompt, or chat."`
	Serve      serveCmd      `cmd:"" help:"Serve models over an OpenAI-compatible HTTP interface."`
	PS         psCmd         `cmd:"" name:"ps" help:"Show the models of a running server."`
	Load       loadCmd       `cmd:"" help:"Load a model on a running server."`
	Unload     unloadCmd     `cmd:"" help:"Unload a model on a running server."`
	Health     healthCmd     `cmd:"" help:"Ask a running server whether it is ready."`
	Pull       pullCmd       `cmd:"" help:"Fetch a model from a Hugging Face hub."`
	List       listCmd       `cmd:"" help:"List the models on this machine."`
	RM         rmCmd         `cmd:"" name:"rm" help:"Remove models that were fetched, or lie in the folder of models."`
	Doctor     doctorCmd     `cmd:"" help:"Show what this machine has for models, what is wrong, and what mends it."`
	Fit        fitCmd        `cmd:"" help:"Show what a model takes at which context, and whether it fits, before it is loaded or fetched."`
	Inspect    inspectCmd    `cmd:"" help:"Show what a model file holds, and whether it can run."`
	Embed      embedCmd      `cmd:"" help:"Turn texts into vectors, a line of JSON for each."`
	Tokenize   tokenizeCmd   `cmd:"" help:"Turn text into token ids."`
	Template   templateCmd   `cmd:"" help:"Render a chat template, JSON on stdin to text on stdout."`
	Logits     logitsCmd     `cmd:"" help:"Write the logits of every position of a prompt."`
	Conform    conformCmd    `cmd:"" help:"Check that a device computes what the reference computes."`
	Convert    convertCmd    `cmd:"" help:"Write a Hugging Face folder as a GGUF file."`
	Quantize   quantizeCmd   `cmd:"" help:"Write a GGUF file with smaller weights."`
	Imatrix    imatrixCmd    `cmd:"" help:"Make an importance matrix for quantize."`
	Perplexity perplexityCmd `cmd:"" help:"Measure how well a model predicts a text."`
	KL         klCmd         `cmd:"" name:"kl" help:"Measure how far a model is from the one it was made of."`
	Synth      synthCmd      `cmd:"" help:"Write a model of a real shape with random weights."`
	Bench      benchCmd      `cmd:"" help:"Measure how fast a model reads and writes, or how a server answers (bench serve)."`
	Settings   configCmd     `cmd:"" name:"config" help:"Show the values of a command's flags, and where each comes from."`
	Completion completionCmd `cmd:"" help:"Write what a shell needs to complete command lines."`
	Man        manCmd        `cmd:"" help:"Write a manual page."`
	Version    versionCmd    `cmd:"" help:"Show the version and what is built in."`

	file *configFile // that Config names
}

// BeforeResolve lets kong take what flags and the environment leave open from the file.
func (c *commands) BeforeResolve(ctx *kong.Context) (err error) {
	path := ""
	for _, f := range ctx.Model.Flags {
		if f.Name == "config" {
			path, _ = ctx.FlagValue(f).(string)
		}
	}
	if c.file, err = readConfig(ctx.Model, path); err == nil {
		ctx.AddResolver(c.file)
	}
	return err
}

// newParser returns a parser of command lines. exit is called after help was shown.
func newParser(c *commands, std stdio, exit func(code int), options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(options,
		kong.Name("hipengine"),
		kong.Description("LLM inference on AMD GPUs and CPUs. Without a MODEL, commands use Ember, the small model that is built in."),
		kong.Writers(std.out, std.err),
		kong.Exit(exit),
		kong.UsageOnError(),
		kong.Bind(std),
		kong.Bind(c),
	)...)
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is an error of the command line rather than of the work.
type usageError struct{ error }

func main() {
	os.Exit(run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run executes a command line and returns the exit code.
func run(args []string, std stdio) int {
	// Ctrl-C and a service manager's stop both end the work cleanly; a second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	var c commands
	code := -1
	parser, err := newParser(&c, std, func(n int) { code = n }, kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		panic(err) // the struct tags above are wrong
	}
	k, err := parser.Parse(joinNumbers(args))
	if code >= 0 { // --help has printed
		return code
	}
	if err != nil {
		fmt.Fprintf(std.err, "hipengine: %v\nTry hipengine --help.\n", err)
		return exitUsage
	}
	if p, ok := profiles[c.Profile]; ok {
		defer profile.Start(p, profile.ProfilePath("."), profile.NoShutdownHook).Stop()
	}
	err = k.Run()
	var worker *supervise.ExitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &worker): // which has said why
		return worker.Code
	case errors.Is(err, context.Canceled) && ctx.Err() != nil && !isUsage(err):
		fmt.Fprintln(std.err, "hipengine: stopped")
		return exitFailed
	}
	fmt.Fprintf(std.err, "hipengine: %s\n", describe(err))
	if isUsage(err) {
		return exitUsage
	}
	return exitFailed
}

// negativeNumber is an argument that no flag is called.
var negativeNumber = regexp.MustCompile(`^-[0-9.]+$`)

// joinNumbers writes --flag -1 as --flag=-1, since kong takes what begins with a hyphen for a flag.
func joinNumbers(args []string) (out []string) {
	for i, a := range args {
		if i > 0 && negativeNumber.MatchString(a) && strings.HasPrefix(args[i-1], "--") &&
			!strings.Contains(args[i-1], "=") {
			out[len(out)-1] += "=" + a
		} else {
			out = append(out, a)
		}
	}
	return out
}

// isUsage reports whether the command line is to blame.
func isUsage(err error) bool {
	return errors.As(err, new(usageError)) || errors.As(err, new(*hipengine.OptionError)) ||
		errors.As(err, new(*hipengine.ParamsError))
}

// flagOf returns the flag that sets an option of the library: of ExpertCache, --expert-cache.
func flagOf(option string) string {
	if option == "CacheDirBytes" {
		return "--cache-dir-size"
	}
	upper := func(i int) bool { return i < len(option) && option[i] >= 'A' && option[i] <= 'Z' }
	var b strings.Builder
	for i := range len(option) {
		if i > 0 && upper(i) && (!upper(i-1) || i+1 < len(option) && !upper(i+1)) { // a word begins
			b.WriteByte('-')
		}
		b.WriteByte(option[i])
	}
	return "--" + strings.ToLower(b.String())
}

// describe returns the text of an error in the words of the command line: with flags in place of options.
func describe(err error) string {
	text := err.Error()
	var option *hipengine.OptionError
	if errors.As(err, &option) {
		text = strings.ReplaceAll(text, option.Error(), option.Message(flagOf))
	}
	var memory *hipengine.MemoryError
	if errors.As(err, &memory) && memory.Fits > 0 {
		text = strings.ReplaceAll(text, memory.Error(), fmt.Sprintf("%v (--ctx %d)", memory, memory.Fits))
	}
	var missing *hipengine.NotFoundError
	if errors.As(err, &missing) && errors.As(missing.Err, new(*hub.NotCachedError)) {
		text += fmt.Sprintf("; hipengine pull %s fetches it, and so does --pull", missing.Name)
	} else if missing != nil && missing.Err == nil && missing.Folder == "" {
		if r, err := hub.ParseRef(refName(missing.Name)); err == nil {
			text += fmt.Sprintf("; the model of a hub is %v", r)
		}
	}
	return text
}

var profiles = map[string]func(*profile.Profile){
	"cpu": profile.CPUProfile, "mem": profile.MemProfile, "alloc": profile.MemProfileAllocs,
	"block": profile.BlockProfile,
	"mutex": profile.MutexProfile, "goroutine": profile.GoroutineProfile, "trace": profile.TraceProfile,
}
