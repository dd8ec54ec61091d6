package main

// llamaFlags say what of llama.cpp's own API a server offers.
type llamaFlags struct {
	LlamaRoutes []string `name:"llama-routes" env:"HIPENGINE_LLAMA_ROUTES" placeholder:"PART,..." help:"Parts of llama.cpp's own API to offer beside OpenAI's: completion (/completion, /completions, /infill), slots (/slots), predict (/predict, for Vertex AI), verbose (__verbose in answers of chat completions) and prefill (chats go on with a last message that is the assistant's)."`
}

// reasoning returns what --reasoning says, as the server's configuration has it.
func (c *serveCmd) reasoning() string {
	if c.Reasoning == "auto" {
		return ""
	}
	return c.Reasoning
}
