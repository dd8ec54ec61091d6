package main

// llamaFlags say what of llama.cpp's own API a server offers.
type llamaFlags struct {
	LlamaRoutes []string `name:"llama-routes" env:"HIPENGINE_LLAMA_ROUTES" placeholder:"PART,..." help:"Parts of llama.cpp's own API to offer beside OpenAI's: completion (/completion, /completions, /infill) and slots (/slots)."`
}

// reasoning returns what --reasoning says, as the server's configuration has it.
func (c *serveCmd) reasoning() string {
	if c.Reasoning == "auto" {
		return ""
	}
	return c.Reasoning
}
