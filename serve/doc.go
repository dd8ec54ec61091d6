// Package serve is the HTTP server: OpenAI's chat completions, completions, responses and models and Anthropic's
// messages over engines, with health endpoints and metrics, on net/http.
//
//	POST /v1/chat/completions   answer a conversation, at once or as server-sent events
//	POST /v1/completions        continue prompts
//	POST /v1/responses          answer items, store the response; with /{id}, /{id}/input_items and /input_tokens
//	POST /v1/messages           answer a conversation as Anthropic does; with /count_tokens
//	POST /v1/embeddings         vectors of texts; /embedding has llama.cpp's form
//	POST /v1/rerank             how relevant documents are to a query
//	POST /api/chat              Ollama's API; with /api/generate, embed, tags, show, ps and version
//	GET  /v1/models             the models, and whether each is loaded; /v1/models/{id} is one
//	GET  /                      a page to chat on, for browsers (package web)
//	GET  /openapi.json          these endpoints for programs (package openapi)
//	GET  /livez                 200 while the process serves
//	GET  /startupz              200 once the models of the start are loaded, 503 before
//	GET  /readyz, /health       200 once the models of the start are loaded and proven, 503 before and while draining
//	GET  /metrics               counts for Prometheus (package metrics); no key, and no text of requests
//	GET  /admin/ps              what the models are doing, with an admin key
//	POST /admin/load            load {"model": ID}, with an admin key
//	POST /admin/unload          unload {"model": ID} when nobody uses it, with an admin key
//	POST /admin/drain           make /readyz answer 503, with an admin key
//
// # Promises
//
// A request is answered as it asks or refused with an error that names the field (package openai). A request that the
// client gives up, by closing the connection, leaves the engine before its next step. A client that reads slowly is
// cut off when one write takes longer than Config.WriteTimeout, and holds up nobody meanwhile. While a prompt is being
// prefilled, a stream carries comments, so that proxies do not take it for dead. An error in the middle of a stream is
// an event with the error, and then the stream ends without [DONE].
//
// A server that listens on loopback answers only to Host names of the loopback interface and those it was told,
// which defeats DNS rebinding. Pages of other origins are refused. A server that listens elsewhere needs an API key.
// Keys are kept as hashes. Prompts and answers are never logged, nor are messages that quote a request.
//
// # Forms and tools
//
// What holds the answers to a form is compiled before anything runs, and what cannot be compiled is a 400 that names
// the field. Calls of tools and thoughts are found in the text as the model's template marks them (package
// text/toolcall).
//
// # Several models
//
// The models of a [Source] are loaded when a request asks for them. It waits until then, in a bounded queue and as
// long as it may take at all; requests of other models go on. A server with such models is ready though none is
// loaded.
//
// # Sampling
//
// A parameter comes from the request, else from Model.Defaults, else from sample.Defaults. Without a seed, one is
// drawn for each request. Choice i of a prompt samples with seed + i.
package serve
