// Package anthropic holds the wire types of Anthropic's Messages API that the server speaks: requests, which become those
// of package openai and are read as strictly, messages, events of streams and errors. Facts are those of Anthropic's API
// reference (docs.anthropic.com).
//
// Fields without an effect here are accepted: metadata, service_tier, cache_control wherever it stands (prompts are kept
// without it), context_management, inference_geo, speed, citations of blocks, and of tools eager_input_streaming,
// defer_loading, allowed_callers and input_examples. Tools that Anthropic's servers run are left out ([HostedTools]).
// Beyond Anthropic's fields, requests take those of sampling that package openai has.
package anthropic
