package serve

import "strings"

// probe is how the effect of a field is seen: the answers to two requests.
type probe struct {
	base   string // members of both, over those that every request to the path has; null takes one away
	with   string // those that the field is among
	site   string // that answers; "" draws four letters
	same   bool   // it asks for what is so anyway, or for nothing
	status int    // of the request with it; 0 is 200
}

// requests are what a request to a path has at least, and a bound for its answer.
var requests = map[string]string{
	"/v1/chat/completions": `"messages":[{"role":"user","content":"hi"}],"max_tokens":40`,
	"/v1/completions":      `"prompt":"x","max_tokens":40`,
	"/v1/responses":        `"input":"hi","max_output_tokens":40`,
	"/v1/messages":         `"messages":[{"role":"user","content":"hi"}],"max_tokens":40`,
	"/completion":          `"prompt":"x","n_predict":40`,
	"/infill":              `"input_prefix":"a","input_suffix":"b","n_predict":40`,
	"/api/chat":            `"messages":[{"role":"user","content":"hi"}],"stream":false,"options":{"num_predict":40}`,
	"/api/generate":        `"prompt":"hi","stream":false,"options":{"num_predict":40}`,
	"/v1/embeddings":       `"input":"text"`,
	"/embedding":           `"input":"text"`,
	"/api/embed":           `"input":"text"`,
	"/api/embeddings":      `"prompt":"text"`,
	"/tokenize":            `"content":"<bos>text"`,
	"/detokenize":          `"tokens":[97,98]`,
	"/v1/rerank":           `"query":"q","documents":["far","near"]`,
}

// elsewhere are paths whose requests are those of others, or that other tests look at.
var elsewhere = map[string]string{
	"/predict":                          "TestPredict",
	"/v1/chat/completions/input_tokens": "/v1/chat/completions", "/apply-template": "/v1/chat/completions",
	"/v1/messages/count_tokens": "/v1/messages", "/v1/responses/input_tokens": "/v1/responses",
	"/completions": "/completion", "/embeddings": "/embedding", "/v1/reranking": "/v1/rerank", "/v2/rerank": "/v1/rerank",
	"/api/show": "TestOllamaModels", "/admin/load": "TestPool", "/admin/unload": "TestPool",
}

const (
	addTool  = `"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"]}}}]`
	twoTools = `"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}},` +
		`{"type":"function","function":{"name":"edit","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}}]`
	respTool = `"tools":[{"type":"function","name":"add"},{"type":"function","name":"edit"}]`
	anthTool = `"tools":[{"name":"add","input_schema":{"type":"object"}},{"name":"edit","input_schema":{"type":"object"}}]`
	greedily = `"temperature":0`
	seven    = `{"const":7}`
	goesOn   = `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"abc"}]`
)

// shared are the probes of fields that several endpoints have.
var shared = map[string]probe{
	"seed":                  {with: `"seed":5`},
	"temperature":           {with: greedily},
	"top_k":                 {with: `"top_k":1`},
	"top_p":                 {with: `"top_p":0.1`},
	"min_p":                 {with: `"min_p":1`},
	"typical_p":             {with: `"typical_p":0.2`},
	"top_n_sigma":           {with: `"top_n_sigma":0.1`},
	"dynatemp_range":        {base: greedily, with: `"dynatemp_range":3`},
	"dynatemp_exponent":     {base: greedily + `,"dynatemp_range":3`, with: `"dynatemp_exponent":10`},
	"xtc_probability":       {with: `"xtc_probability":1`},
	"xtc_threshold":         {base: `"xtc_probability":1`, with: `"xtc_threshold":0.4`},
	"dry_multiplier":        {base: greedily, with: `"dry_multiplier":100`},
	"dry_base":              {base: greedily + `,"dry_multiplier":0.1`, with: `"dry_base":1`},
	"dry_allowed_length":    {base: greedily + `,"dry_multiplier":100`, with: `"dry_allowed_length":1`},
	"dry_penalty_last_n":    {base: greedily + `,"dry_multiplier":100`, with: `"dry_penalty_last_n":0`},
	"dry_sequence_breakers": {base: greedily + `,"dry_multiplier":100`, with: `"dry_sequence_breakers":["a"]`},
	"mirostat":              {base: `"mirostat_tau":0`, with: `"mirostat":2`},
	"mirostat_tau":          {base: `"mirostat":2`, with: `"mirostat_tau":0`},
	"mirostat_eta":          {base: `"mirostat":2,"mirostat_tau":1.5,"mirostat_eta":0`, with: `"mirostat_eta":1`},
	"min_keep":              {base: `"top_p":0`, with: `"min_keep":3`},
	"speculative.type":      {with: `"speculative.type":"nonsense"`, status: 400},
	"speculative.n_max":     {with: `"speculative.n_max":1`, same: true}, // see TestSpeculation
	"samplers":              {base: `"top_k":1`, with: `"samplers":[]`},
	"presence_penalty":      {base: greedily, with: `"presence_penalty":2`},
	"frequency_penalty":     {base: greedily, with: `"frequency_penalty":0.6`},
	"repeat_penalty":        {base: greedily, with: `"repeat_penalty":2`},
	"repetition_penalty":    {base: greedily, with: `"repetition_penalty":2`},
	"repeat_last_n":         {base: greedily + `,"repeat_penalty":2`, with: `"repeat_last_n":0`},
	"logit_bias":            {with: `"logit_bias":{"97":-100}`},
	"min_tokens":            {base: `"stop_token_ids":[97,98]`, with: `"min_tokens":9`},
	"bad_words":             {with: `"bad_words":["a"]`},
	"stop_token_ids":        {with: `"stop_token_ids":[97]`},

	"model":                        {with: `"model":"another"`, status: 404},
	"stream":                       {with: `"stream":true`},
	"stream_options":               {base: `"stream":true`, with: `"stream_options":{"include_usage":true}`},
	"stream_options/include_usage": {base: `"stream":true`, with: `"stream_options":{"include_usage":true}`},
	"n":                            {with: `"n":2`},
	"stop":                         {with: `"stop":"a"`},
	"ignore_eos":                   {site: "ends", with: `"ignore_eos":true`},
	"response_format":              {with: `"response_format":{"type":"json_object"}`},
	"response_format/type":         {with: `"response_format":{"type":"json_object"}`},
	"response_format/schema":       {with: `"response_format":{"type":"json_object","schema":` + seven + `}`},
	"response_format/json_schema":  {with: `"response_format":{"type":"json_schema","json_schema":{"schema":` + seven + `}}`},
	"response_format/json_schema/schema": {
		with: `"response_format":{"type":"json_schema","json_schema":{"schema":` + seven + `}}`},
	"response_format/json_schema/name": {base: `"response_format":{"type":"json_schema","json_schema":{"schema":` + seven + `}}`,
		with: `"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":` + seven + `}}`, same: true},
	"response_format/json_schema/description": {
		base: `"response_format":{"type":"json_schema","json_schema":{"schema":` + seven + `}}`,
		with: `"response_format":{"type":"json_schema","json_schema":{"description":"d","schema":` + seven + `}}`, same: true},
	"response_format/json_schema/strict": {
		base: `"response_format":{"type":"json_schema","json_schema":{"schema":` + seven + `}}`,
		with: `"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":` + seven + `}}`, same: true},
	"grammar":                        {with: `"grammar":"root ::= \"x\""`},
	"json_schema":                    {with: `"json_schema":` + seven},
	"structured_outputs":             {with: `"structured_outputs":{"json":` + seven + `}`},
	"structured_outputs/json":        {with: `"structured_outputs":{"json":` + seven + `}`},
	"structured_outputs/json_object": {with: `"structured_outputs":{"json_object":true}`},
	"structured_outputs/regex":       {with: `"structured_outputs":{"regex":"xy"}`},
	"structured_outputs/grammar":     {with: `"structured_outputs":{"grammar":"root ::= \"x\""}`},
	"structured_outputs/choice":      {with: `"structured_outputs":{"choice":["one","two"]}`},
	"guided_json":                    {with: `"guided_json":` + seven},
	"guided_json_object":             {with: `"guided_json_object":true`},
	"guided_regex":                   {with: `"guided_regex":"xy"`},
	"guided_grammar":                 {with: `"guided_grammar":"root ::= \"x\""`},
	"guided_choice":                  {with: `"guided_choice":["one"]`},
	"timings_per_token":              {base: `"stream":true`, with: `"timings_per_token":true`},
	"return_progress":                {base: `"stream":true`, with: `"return_progress":true`},
	"thinking_budget":                {site: "thinks", with: `"thinking_budget":3`},
	"reasoning_budget":               {site: "thinks", with: `"reasoning_budget":3`},
	"thinking_budget_tokens":         {site: "thinks", with: `"thinking_budget_tokens":3`},
	"max_tokens":                     {with: `"max_tokens":3`},
	"max_completion_tokens":          {base: noBudget, with: `"n_predict":null,"max_completion_tokens":3`},
	"max_output_tokens":              {base: noBudget, with: `"n_predict":null,"max_output_tokens":3`},
	"n_predict":                      {base: noBudget, with: `"n_predict":3`},

	"reasoning_effort":                           {site: "thinks", with: `"reasoning_effort":"none"`},
	"chat_template_kwargs":                       {with: `"chat_template_kwargs":{"enable_thinking":false}`},
	"chat_template_kwargs/enable_thinking":       {with: `"chat_template_kwargs":{"enable_thinking":true}`},
	"chat_template_kwargs/thinking":              {with: `"chat_template_kwargs":{"thinking":true}`},
	"chat_template_kwargs/preserve_thinking":     {with: `"chat_template_kwargs":{"preserve_thinking":true}`},
	"chat_template_kwargs/clear_thinking":        {with: `"chat_template_kwargs":{"clear_thinking":true}`},
	"chat_template_kwargs/drop_thinking":         {with: `"chat_template_kwargs":{"drop_thinking":true}`},
	"chat_template_kwargs/tools_in_user_message": {with: `"chat_template_kwargs":{"tools_in_user_message":true}`},
	"chat_template_kwargs/documents":             {with: `"chat_template_kwargs":{"documents":[{"text":"d"}]}`},
	"documents":                                  {with: `"documents":[{"text":"d"}]`},
	"chat_template_kwargs/thinking_budget":       {site: "thinks", with: `"chat_template_kwargs":{"thinking_budget":3}`},
	"chat_template_kwargs/reasoning_effort":      {with: `"chat_template_kwargs":{"reasoning_effort":"low"}`},
}

const noBudget = `"max_tokens":null,"max_output_tokens":null,"n_predict":20`

// own are the probes of fields of one endpoint, or of those that mean another thing there.
var own = map[string]map[string]probe{
	"/v1/chat/completions": {
		"messages":               {with: `"messages":[{"role":"user","content":"something else"}]`},
		"verbose":                {with: `"verbose":true`},
		"continue_final_message": {base: goesOn, with: `"continue_final_message":true`},
		"add_generation_prompt":  {with: `"add_generation_prompt":false`},
		"logprobs":               {with: `"logprobs":true`},
		"top_logprobs":           {base: `"logprobs":true`, with: `"top_logprobs":2`},
		"tools":                  {with: addTool},
		"tool_choice":            {base: addTool, with: `"tool_choice":"required"`},
		"tool_choice/type":       {base: addTool, with: `"tool_choice":{"type":"any"}`},
		"tool_choice/function": {base: twoTools + `,"tool_choice":"required"`, site: "calls",
			with: `"tool_choice":{"type":"function","function":{"name":"edit"}}`},
		"tool_choice/function/name": {base: twoTools + `,"tool_choice":"required"`, site: "calls",
			with: `"tool_choice":{"type":"function","function":{"name":"edit"}}`},
		"tool_choice/allowed_tools": {base: twoTools + `,"tool_choice":"required"`, site: "calls",
			with: `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"edit"}}]}}`},
		"tool_choice/allowed_tools/mode": {base: addTool,
			with: `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"add"}}]}}`},
		"tool_choice/allowed_tools/tools": {base: twoTools + `,"tool_choice":"required"`, site: "calls",
			with: `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"edit"}}]}}`},
		"parallel_tool_calls": {base: twoTools + `,"max_tokens":200`, site: "calls", with: `"parallel_tool_calls":false`},
		"reasoning_format":    {site: "thinks", with: `"reasoning_format":"none"`},
		"modalities":          {with: `"modalities":["text"]`, same: true},
	},
	"/v1/completions": {
		"prompt":   {with: `"prompt":"longer"`},
		"logprobs": {with: `"logprobs":2`},
		"echo":     {with: `"echo":true`},
		"best_of":  {with: `"best_of":1`, same: true},
		"suffix":   {with: `"suffix":null`, same: true},
	},
	"/v1/responses": {
		"max_output_tokens":     {with: `"max_output_tokens":3`},
		"max_tokens":            {base: noBudget, with: `"n_predict":null,"max_tokens":3`},
		"previous_response_id":  {with: `"previous_response_id":"resp_1"`, status: 404},
		"input":                 {with: `"input":"something else"`},
		"instructions":          {with: `"instructions":"be brief"`},
		"store":                 {with: `"store":false`},
		"stream_options":        {base: `"stream":true`, with: `"stream_options":{}`, same: true},
		"tools":                 {with: respTool},
		"tool_choice":           {base: respTool, site: "calls", with: `"tool_choice":"none"`},
		"tool_choice/type":      {base: respTool, site: "calls", with: `"tool_choice":{"type":"function","name":"edit"}`},
		"tool_choice/name":      {base: respTool, site: "calls", with: `"tool_choice":{"type":"function","name":"edit"}`},
		"tool_choice/namespace": {base: `"tools":[{"type":"namespace","name":"s","tools":[{"type":"function","name":"add"}]}]`, with: `"tool_choice":{"type":"function","name":"add","namespace":"s"}`},
		"tool_choice/mode": {base: respTool, site: "calls",
			with: `"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"edit"}]}`},
		"tool_choice/tools": {base: respTool, site: "calls",
			with: `"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"edit"}]}`},
		"parallel_tool_calls":        {with: `"parallel_tool_calls":false`},
		"reasoning":                  {site: "thinks", with: `"reasoning":{"summary":"auto"}`},
		"reasoning/effort":           {site: "thinks", with: `"reasoning":{"effort":"none"}`},
		"reasoning/summary":          {site: "thinks", with: `"reasoning":{"summary":"auto"}`},
		"reasoning/generate_summary": {site: "thinks", with: `"reasoning":{"generate_summary":"concise"}`},
		"text":                       {with: `"text":{"format":{"type":"json_object"}}`},
		"text/verbosity":             {base: `"text":{}`, with: `"text":{"verbosity":"low"}`}, // it is repeated
		"text/format":                {with: `"text":{"format":{"type":"json_object"}}`},
		"text/format/type":           {with: `"text":{"format":{"type":"json_object"}}`},
		"text/format/schema":         {with: `"text":{"format":{"type":"json_schema","schema":` + seven + `}}`},
		"text/format/name":           {with: `"text":{"format":{"type":"json_schema","name":"n","schema":` + seven + `}}`},
		"text/format/description":    {with: `"text":{"format":{"type":"json_schema","description":"d","schema":` + seven + `}}`},
		"text/format/strict":         {with: `"text":{"format":{"type":"json_schema","strict":true,"schema":` + seven + `}}`},
		"top_logprobs":               {base: `"include":["message.output_text.logprobs"]`, with: `"top_logprobs":2`},
		"include":                    {site: "thinks", with: `"include":["reasoning.encrypted_content"]`},
		"truncation":                 {with: `"truncation":"auto"`, same: true},
		"background":                 {with: `"background":false`, same: true},
		"conversation":               {with: `"conversation":null`, same: true},
		"prompt":                     {with: `"prompt":null`, same: true},
		"metadata":                   {with: `"metadata":{"a":"b"}`},
	},
	"/v1/messages": {
		"stop_sequences":   {with: `"stop_sequences":["a"]`},
		"system":           {with: `"system":"be brief"`},
		"messages":         {with: `"messages":[{"role":"user","content":"something else"}]`},
		"tools":            {with: anthTool},
		"tool_choice":      {base: anthTool, site: "calls", with: `"tool_choice":{"type":"none"}`},
		"tool_choice/type": {base: anthTool, site: "calls", with: `"tool_choice":{"type":"none"}`},
		"tool_choice/name": {base: anthTool, site: "calls", with: `"tool_choice":{"type":"tool","name":"edit"}`},
		"tool_choice/disable_parallel_tool_use": {base: anthTool + `,"max_tokens":200`, site: "calls",
			with: `"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
		"thinking":      {with: `"thinking":{"type":"adaptive"}`},
		"thinking/type": {with: `"thinking":{"type":"adaptive"}`},
		"thinking/budget_tokens": {site: "thinks", base: `"thinking":{"type":"enabled","budget_tokens":30}`,
			with: `"thinking":{"type":"enabled","budget_tokens":3}`},
		"thinking/display": {site: "thinks", base: `"thinking":{"type":"adaptive"}`,
			with: `"thinking":{"type":"adaptive","display":"omitted"}`},
		"output_config":               {with: `"output_config":{"format":{"type":"json_schema","schema":` + seven + `}}`},
		"output_config/effort":        {with: `"output_config":{"effort":"low"}`},
		"output_config/format":        {with: `"output_config":{"format":{"type":"json_schema","schema":` + seven + `}}`},
		"output_config/format/type":   {with: `"output_config":{"format":{"type":"json_schema","schema":` + seven + `}}`},
		"output_config/format/schema": {with: `"output_config":{"format":{"type":"json_schema","schema":` + seven + `}}`},
		"output_format":               {with: `"output_format":{"type":"json_schema","schema":` + seven + `}`},
		"output_format/type":          {with: `"output_format":{"type":"json_schema","schema":` + seven + `}`},
		"output_format/schema":        {with: `"output_format":{"type":"json_schema","schema":` + seven + `}`},
		"mcp_servers":                 {with: `"mcp_servers":[]`, same: true},
	},
	"/completion": {
		"prompt":               {with: `"prompt":"longer"`},
		"prompt/prompt_string": {with: `"prompt":{"prompt_string":"longer"}`},
		"prompt/multimodal_data": {base: `"prompt":{"prompt_string":"x"}`,
			with: `"prompt":{"prompt_string":"x","multimodal_data":[]}`, status: 400},
	},
	"/infill": {
		"prompt":       {with: `"prompt":"longer"`},
		"input_prefix": {with: `"input_prefix":"longer"`},
		"input_suffix": {with: `"input_suffix":"longer"`},
		"input_extra":  {with: `"input_extra":[{"filename":"f","text":"t"}]`},
	},
	"/api/chat": {
		"messages": {with: `"messages":[{"role":"user","content":"something else"}]`},
		"tools":    {with: addTool},
		"stream":   {with: `"stream":true`},
	},
	"/api/generate": {
		"prompt":   {with: `"prompt":"something else"`},
		"suffix":   {with: `"suffix":"end"`},
		"system":   {with: `"system":"be brief"`},
		"raw":      {with: `"raw":true`},
		"images":   {with: `"images":[]`, same: true},
		"template": {with: `"template":""`, same: true},
		"context":  {with: `"context":[]`, same: true},
	},
	"/v1/embeddings": {
		"input":           {with: `"input":"another"`},
		"encoding_format": {with: `"encoding_format":"base64"`},
		"dimensions":      {with: `"dimensions":3`},
	},
	"/embedding": {
		"input":           {with: `"input":"another"`},
		"content":         {base: `"input":null,"content":"text"`, with: `"content":"another"`},
		"encoding_format": {with: `"encoding_format":"base64"`},
		"embd_normalize":  {with: `"embd_normalize":-1`},
	},
	"/api/embed": {
		"input":      {with: `"input":"another"`},
		"truncate":   {with: `"truncate":false`, same: true}, // TestOllamaEmbed has a text that is too long
		"dimensions": {with: `"dimensions":3`},
		"options":    {with: `"options":{"seed":1}`, same: true},
	},
	"/api/embeddings": {
		"prompt":  {with: `"prompt":"another"`},
		"options": {with: `"options":{"seed":1}`, same: true},
	},
	"/tokenize": {
		"content":       {with: `"content":"x"`},
		"add_special":   {with: `"add_special":true`},
		"parse_special": {with: `"parse_special":false`},
		"with_pieces":   {with: `"with_pieces":true`},
	},
	"/detokenize": {"tokens": {with: `"tokens":[97]`}},
	"/v1/rerank": {
		"query":            {with: `"query":"another"`, status: 500},
		"documents":        {with: `"documents":["mid"]`},
		"texts":            {base: `"documents":null,"texts":["far"]`, with: `"texts":["near"]`},
		"top_n":            {with: `"top_n":1`},
		"return_documents": {with: `"return_documents":true`},
		"return_text":      {base: `"documents":null,"texts":["far"]`, with: `"return_text":true`},
		"truncate":         {with: `"truncate":false`, same: true},
		"raw_scores":       {with: `"raw_scores":false`, same: true},
	},
}

// llamaProbes are the probes of fields of llama.cpp's own endpoints, and ollamaProbes those of Ollama's.
var (
	llamaProbes = map[string]probe{
		"max_tokens":                   {base: noBudget, with: `"n_predict":null,"max_tokens":3`},
		"stream_options":               {base: `"stream":true`, with: `"stream_options":{"include_usage":true}`, same: true},
		"stream_options/include_usage": {base: `"stream":true`, with: `"stream_options":{"include_usage":true}`, same: true},
		"logit_bias":                   {with: `"logit_bias":[[97,false]]`},
		"n_cmpl":                       {with: `"n_cmpl":2`},
		"n_predict":                    {with: `"n_predict":3`},
		"n_probs":                      {with: `"n_probs":2`},
		"post_sampling_probs":          {base: `"n_probs":2`, with: `"post_sampling_probs":true`},
		"return_tokens":                {with: `"return_tokens":true`},
		"response_fields":              {with: `"response_fields":["content"]`},
		"lora":                         {with: `"lora":[]`, same: true},
		"n_discard":                    {with: `"n_discard":null`, same: true},
		"n_indent":                     {with: `"n_indent":null`, same: true},
		"t_max_predict_ms":             {with: `"t_max_predict_ms":null`, same: true},
	}
	ollamaProbes = map[string]probe{
		"stream":              {with: `"stream":true`},
		"format":              {with: `"format":"json"`},
		"think":               {with: `"think":true`},
		"logprobs":            {with: `"logprobs":true`},
		"top_logprobs":        {base: `"logprobs":true`, with: `"top_logprobs":2`},
		"truncate":            {with: `"truncate":false`, same: true},
		"shift":               {with: `"shift":false`, same: true},
		"keep_alive":          {with: `"keep_alive":"5m"`, same: true},
		"options":             {with: `"options":{"top_k":1}`},
		"options/num_predict": {with: `"options":{"num_predict":3}`},
		"options/num_ctx":     {base: `"options":{"num_predict":null}`, with: `"options":{"num_ctx":60}`},
		"options/tfs_z":       {with: `"options":{"tfs_z":1}`, same: true},
	}
)

// beyond are values of fields that are out of limits which the document does not name.
var beyond = map[string][]string{
	"n":                                  {`0`, `17`},
	"n_cmpl":                             {`0`, `17`},
	"top_logprobs":                       {`21`},
	"stop":                               {`["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]`, `["` + strings.Repeat("x", 257) + `"]`},
	"metadata":                           {`{"a":"` + strings.Repeat("x", 513) + `"}`},
	"seed":                               {`"1"`, `1.5`},
	"response_format/json_schema/schema": {`{"type":"nonsense"}`, `{"pattern":"("}`},
	"guided_regex":                       {`"("`},
	"grammar":                            {`"root ::= ("`},
}

// probeOf returns the probe of a field at a path.
func probeOf(path, name string) (probe, bool) {
	list := []map[string]probe{own[path]}
	switch {
	case path == "/completion" || path == "/infill":
		list = append(list, llamaProbes)
	case strings.HasPrefix(path, "/api/"):
		list = append(list, ollamaProbes)
	}
	for _, probes := range append(list, shared) {
		if p, ok := probes[name]; ok {
			p.same = p.same || strings.HasPrefix(path, "/api/embed") && strings.HasPrefix(name, "options/")
			return p, true
		}
	}
	option, nested := strings.CutPrefix(name, "options/")
	if p, ok := shared[option]; ok && nested {
		p.same = strings.HasPrefix(path, "/api/embed") // they draw nothing
		p.base, p.with = `"options":{`+p.base+`}`, `"options":{`+p.with+`}`
		return p, true
	}
	return probe{}, false
}
