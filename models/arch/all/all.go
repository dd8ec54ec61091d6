// Package all links every architecture of this module.
package all

import (
	_ "github.com/hipengine/hipengine/models/arch/arcee"
	_ "github.com/hipengine/hipengine/models/arch/cohere"
	_ "github.com/hipengine/hipengine/models/arch/ernie45"
	_ "github.com/hipengine/hipengine/models/arch/exaone4"
	_ "github.com/hipengine/hipengine/models/arch/gemma2"
	_ "github.com/hipengine/hipengine/models/arch/gemma3"
	_ "github.com/hipengine/hipengine/models/arch/gemma4"
	_ "github.com/hipengine/hipengine/models/arch/glm4"
	_ "github.com/hipengine/hipengine/models/arch/gptoss"
	_ "github.com/hipengine/hipengine/models/arch/granite"
	_ "github.com/hipengine/hipengine/models/arch/hunyuan"
	_ "github.com/hipengine/hipengine/models/arch/llama"
	_ "github.com/hipengine/hipengine/models/arch/minimaxm2"
	_ "github.com/hipengine/hipengine/models/arch/mistral3"
	_ "github.com/hipengine/hipengine/models/arch/olmo2"
	_ "github.com/hipengine/hipengine/models/arch/phi3"
	_ "github.com/hipengine/hipengine/models/arch/qwen2"
	_ "github.com/hipengine/hipengine/models/arch/qwen3"
	_ "github.com/hipengine/hipengine/models/arch/qwen35"
	_ "github.com/hipengine/hipengine/models/arch/qwen3next"
	_ "github.com/hipengine/hipengine/models/arch/seedoss"
	_ "github.com/hipengine/hipengine/models/arch/smollm3"
	_ "github.com/hipengine/hipengine/models/arch/stablelm"
	_ "github.com/hipengine/hipengine/models/arch/starcoder2"
)
