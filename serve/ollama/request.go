package ollama

import (
	"encoding/json"
	"strings"

	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/text/grammar"
)

// noEffect are options of Ollama's runners that cannot change an answer here.
var noEffect = []string{
	"num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa", "use_mmap", "use_mlock", "low_vram",
	"f16_kv",
	"vocab_only", "penalize_newline", "draft_num_predict",
}

// Chat is the body of POST /api/chat.
type Chat struct {
	openai.ChatRequest
	Empty bool // there are no messages: the model is only to be loaded
}

// ParseChat reads a request to answer a conversation. The error is an *[openai.Error].
func ParseChat(body []byte, l openai.Limits) (*Chat, error) {
	c := &Chat{}
	c.N, c.Kwargs = 1, make(map[string]json.RawMessage)
	err := openai.Parse(body, l, func(f openai.Fields) {
		readShared(f, &c.ChatRequest)
		readTools(f, &c.ChatRequest)
		var messages []openai.Message
		if v, ok := f.Take("messages"); ok {
			t := turns{}
			for _, e := range v.List(f.Limits().Messages) {
				t.message(e.Object())
			}
			messages = t.list
		}
		if c.Empty = len(messages) == 0; c.Empty {
			readUnload(f)
		}
		f.Ignore("keep_alive")
		if err := c.SetMessages(messages); err != nil {
			f.Fail("messages", openai.CodeValue, "%v", err)
		}
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Generate is the body of POST /api/generate. Unless it is raw, it is a conversation of one message.
type Generate struct {
	openai.ChatRequest
	Prompt string
	Suffix string // text that follows on the answer
	Raw    bool   // Prompt is what the model reads, with special tokens
	Empty  bool   // there is no prompt: the model is only to be loaded
}

// ParseGenerate reads a request to go on with a text. The error is an *[openai.Error].
func ParseGenerate(body []byte, l openai.Limits) (*Generate, error) {
	g := &Generate{}
	g.N, g.Kwargs = 1, make(map[string]json.RawMessage)
	err := openai.Parse(body, l, func(f openai.Fields) {
		readShared(f, &g.ChatRequest)
		g.Prompt, g.Suffix, g.Raw = f.Text("prompt"), f.Text("suffix"), f.Boolean("raw")
		system := f.Text("system")
		refuseImages(f)
		if f.Text("template") != "" {
			f.Fail("template", openai.CodeUnsupported, "templates of Ollama are not offered by this server, "+
				"which has the model's own; with raw, the prompt is read as it is")
		}
		if v, ok := f.Take("context"); ok && len(v.List(f.Limits().PromptTokens)) > 0 {
			v.Fail(openai.CodeUnsupported, "is not offered by this server; send the conversation to /api/chat")
		}
		if g.Raw && system != "" {
			f.Fail("system", openai.CodeValue, "is not allowed with raw, which uses no template")
		}
		if g.Raw && len(g.Kwargs) > 0 {
			f.Fail("think", openai.CodeValue, "is not allowed with raw, which uses no template")
		}
		if g.Suffix != "" && (system != "" || g.Raw || len(g.Kwargs) > 0) {
			f.Fail("suffix", openai.CodeValue, "is not allowed with raw, system or think: "+
				"between two texts goes a text, without a template")
		}
		if g.Empty = g.Prompt == "" && g.Suffix == ""; g.Empty {
			readUnload(f)
		}
		f.Ignore("keep_alive")
		var list []openai.Message
		if system != "" {
			list = append(list, openai.Message{Role: "system", Content: &system})
		}
		if err := g.SetMessages(append(list, openai.Message{Role: "user", Content: &g.Prompt})); err != nil {
			f.Fail("prompt", openai.CodeValue, "%v", err)
		}
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// readShared reads what requests to generate have in common.
func readShared(f openai.Fields, c *openai.ChatRequest) {
	c.Model = f.Word("model")
	c.Stream = true
	if v, ok := f.Take("stream"); ok {
		c.Stream = v.Boolean()
	}
	readFormat(f, c)
	readThink(f, c)
	if c.Logprobs = f.Boolean("logprobs"); !c.Logprobs {
		if n := f.Integer("top_logprobs", 0, int64(f.Limits().TopLogprobs)); n != nil && *n > 0 {
			f.Fail("top_logprobs", openai.CodeValue, "is only allowed when logprobs is true")
		}
	} else if n := f.Integer("top_logprobs", 0, int64(f.Limits().TopLogprobs)); n != nil {
		c.TopLogprobs = *n
	}
	for _, name := range []string{"truncate", "shift"} {
		if f.Boolean(name) {
			f.Fail(name, openai.CodeUnsupported,
				"is not offered by this server: what is too long is an error, and nothing is dropped")
		}
	}
	if v, ok := f.Take("options"); ok {
		readOptions(v.Object(), c)
	}
}

// readOptions reads the parameters of sampling and of Ollama's runners.
func readOptions(o openai.Fields, c *openai.ChatRequest) {
	c.Sampling = o.Sampling()
	c.Stop = o.Stop("stop")
	switch n := o.Integer("num_predict", -2, int64(o.Limits().MaxTokens)); {
	case n == nil || *n < 0: // -1 is without end, -2 what the context allows
	case *n == 0:
		o.Fail("num_predict", openai.CodeValue, "must be positive, or -1 for what the context allows, not 0")
	default:
		c.MaxTokens = *n
	}
	if n := o.Integer("num_ctx", 1, int64(o.Limits().MaxTokens)); n != nil {
		c.Context = *n
	}
	if v, ok := o.Take("tfs_z"); ok && string(v.Raw()) != "1" && string(v.Raw()) != "1.0" {
		v.Fail(openai.CodeUnsupported, "is not offered by this server; leave it out, or off with 1")
	}
	o.Ignore(noEffect...)
	o.End()
}

// readFormat reads format: "json", or a JSON Schema.
func readFormat(f openai.Fields, c *openai.ChatRequest) {
	v, ok := f.Take("format")
	if !ok {
		return
	}
	if !v.IsText() {
		c.Form = v.Schema()
	} else if v.OneOf("json", "") == "json" {
		c.Form = &openai.Form{Spec: grammar.Spec{JSONObject: true}, Param: v.Path()}
	}
}

// readThink reads think: a boolean, or how much.
func readThink(f openai.Fields, c *openai.ChatRequest) {
	v, ok := f.Take("think")
	switch {
	case !ok:
	case v.IsText():
		v.OneOf("low", "medium", "high", "max")
		c.SetThinking(true, 0)
		c.SetEffort(v)
	default:
		c.SetThinking(v.Boolean(), 0)
	}
}

// readUnload refuses to unload a model, which a request without a prompt asks for with a keep_alive of nothing.
func readUnload(f openai.Fields) {
	v, ok := f.Take("keep_alive")
	if !ok {
		return
	}
	if s := strings.Trim(string(v.Raw()), `"`); s == "0" || s == "0s" || s == "0m" || s == "0h" {
		v.Fail(openai.CodeUnsupported,
			"models are unloaded by the server's owner: with hipengine unload, or after a time with --idle-unload")
	}
}

// refuseImages reports images.
func refuseImages(f openai.Fields) {
	if v, ok := f.Take("images"); ok && len(v.List(1024)) > 0 {
		v.Fail(openai.CodeUnsupported, "images are not offered by this server, whose models read text")
	}
}

// readTools reads the functions that may be called.
func readTools(f openai.Fields, c *openai.ChatRequest) {
	v, ok := f.Take("tools")
	if !ok {
		return
	}
	var tools []openai.Tool
	for _, e := range v.List(f.Limits().Tools) {
		t := e.Object()
		if kind, ok := t.Take("type"); ok {
			kind.OneOf("function")
		}
		if fn, ok := t.Need("function"); ok {
			tools = append(tools, openai.Tool{Type: "function", Function: fn.Object().Function("parameters")})
		}
		t.End()
	}
	if err := c.SetTools(tools); err != nil {
		v.Fail(openai.CodeValue, "%v", err)
	}
}
