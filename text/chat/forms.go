package chat

// ChatML is the template for models that have none: each message between <|im_start|> with its role and <|im_end|>.
const ChatML = `{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content or [] %}
            {{- part.text if part.text is defined }}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
`

// Forms are templates of well-known forms by name, for models whose files have none, or a wrong one. Their markers are
// those of the models' publishers; system messages that a form has no place for begin the first turn.
var Forms = map[string]string{
	"chatml":    ChatML,
	"alpaca":    firstTurn + alpaca,
	"command-r": texts + commandR,
	"deepseek":  firstTurn + deepseek,
	"gemma":     firstTurn + gemma,
	"llama2":    firstTurn + llama2,
	"llama3":    texts + llama3,
	"mistral":   firstTurn + mistral,
	"phi3":      texts + phi3,
	"vicuna":    firstTurn + vicuna,
	"zephyr":    texts + zephyr,
}

// texts joins the texts of contents.
const texts = `{%- macro text(content) %}
    {%- if content is string %}{{ content }}
    {%- else %}{% for part in content or [] %}{{ part.text if part.text is defined }}{% endfor %}{% endif %}
{%- endmacro %}
`

// firstTurn takes the system message out of the messages.
const firstTurn = texts + `{%- set turns = messages %}
{%- set system = '' %}
{%- if messages and messages[0].role in ['system', 'developer'] %}
    {%- set system = text(messages[0].content) %}
    {%- set turns = messages[1:] %}
{%- endif %}
`

const (
	alpaca = `{%- if system %}{{ system ~ '\n\n' }}{% endif %}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- '### Response:\n' ~ text(m.content) ~ eos_token ~ '\n\n' }}
    {%- else %}
        {{- '### Instruction:\n' ~ text(m.content) ~ '\n\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}`

	commandR = `{{- bos_token }}
{%- set names = {'system': 'SYSTEM', 'developer': 'SYSTEM', 'assistant': 'CHATBOT'} %}
{%- for m in messages %}
    {{- '<|START_OF_TURN_TOKEN|><|' ~ names.get(m.role, 'USER') ~ '_TOKEN|>' }}
    {{- text(m.content) | trim ~ '<|END_OF_TURN_TOKEN|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}`

	deepseek = `{{- bos_token ~ system }}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- '<｜Assistant｜>' ~ text(m.content) ~ '<｜end▁of▁sentence｜>' }}
    {%- else %}
        {{- '<｜User｜>' ~ text(m.content) }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}`

	gemma = `{{- bos_token }}
{%- for m in turns %}
    {{- '<start_of_turn>' ~ ('model' if m.role == 'assistant' else 'user') ~ '\n' }}
    {%- if loop.first and system %}{{ system ~ '\n\n' }}{% endif %}
    {{- text(m.content) | trim ~ '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}`

	llama2 = `{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- ' ' ~ text(m.content) | trim ~ ' ' ~ eos_token }}
    {%- else %}
        {{- bos_token ~ '[INST] ' }}
        {%- if loop.first and system %}{{ '<<SYS>>\n' ~ system ~ '\n<</SYS>>\n\n' }}{% endif %}
        {{- text(m.content) | trim ~ ' [/INST]' }}
    {%- endif %}
{%- endfor %}`

	llama3 = `{{- bos_token }}
{%- for m in messages %}
    {{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ text(m.content) | trim ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`

	mistral = `{{- bos_token }}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- ' ' ~ text(m.content) | trim ~ eos_token }}
    {%- else %}
        {{- '[INST] ' }}
        {%- if loop.first and system %}{{ system ~ '\n\n' }}{% endif %}
        {{- text(m.content) | trim ~ ' [/INST]' }}
    {%- endif %}
{%- endfor %}`

	phi3 = `{%- for m in messages %}
    {{- '<|' ~ m.role ~ '|>\n' ~ text(m.content) ~ '<|end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}`

	vicuna = `{%- if system %}{{ system ~ '\n\n' }}{% endif %}
{%- for m in turns %}
    {%- if m.role == 'assistant' %}
        {{- 'ASSISTANT: ' ~ text(m.content) ~ eos_token ~ '\n' }}
    {%- else %}
        {{- 'USER: ' ~ text(m.content) ~ '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`

	zephyr = `{%- for m in messages %}
    {{- '<|' ~ m.role ~ '|>\n' ~ text(m.content) ~ eos_token ~ '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}`
)
