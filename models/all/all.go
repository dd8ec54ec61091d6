// Package all links every architecture of this module.
package all

import (
	_ "github.com/hipengine/hipengine/models/gemma2"
	_ "github.com/hipengine/hipengine/models/gemma3"
	_ "github.com/hipengine/hipengine/models/gemma4"
	_ "github.com/hipengine/hipengine/models/glm4"
	_ "github.com/hipengine/hipengine/models/gptoss"
	_ "github.com/hipengine/hipengine/models/granite"
	_ "github.com/hipengine/hipengine/models/llama"
	_ "github.com/hipengine/hipengine/models/mistral3"
	_ "github.com/hipengine/hipengine/models/olmo2"
	_ "github.com/hipengine/hipengine/models/phi3"
	_ "github.com/hipengine/hipengine/models/qwen2"
	_ "github.com/hipengine/hipengine/models/qwen3"
	_ "github.com/hipengine/hipengine/models/qwen35"
	_ "github.com/hipengine/hipengine/models/qwen3next"
)
