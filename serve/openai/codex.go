package openai

// CodexModel is a model as Codex wants it listed. Facts are those of its repository
// (codex-rs/protocol/src/openai_models.rs), whose reader takes no list in which a member is missing.
type CodexModel struct {
	Slug                      string           `json:"slug"`
	DisplayName               string           `json:"display_name"`
	Description               *string          `json:"description"`
	SupportedReasoningLevels  []struct{}       `json:"supported_reasoning_levels"`
	ShellType                 string           `json:"shell_type"`
	Visibility                string           `json:"visibility"`
	SupportedInAPI            bool             `json:"supported_in_api"`
	Priority                  int              `json:"priority"`
	Upgrade                   *struct{}        `json:"upgrade"`
	BaseInstructions          string           `json:"base_instructions"`
	SupportsReasoningSummary  bool             `json:"supports_reasoning_summaries"`
	SupportVerbosity          bool             `json:"support_verbosity"`
	DefaultVerbosity          *string          `json:"default_verbosity"`
	ApplyPatchToolType        string           `json:"apply_patch_tool_type"`
	TruncationPolicy          TruncationPolicy `json:"truncation_policy"`
	SupportsParallelToolCalls bool             `json:"supports_parallel_tool_calls"`
	ContextWindow             int              `json:"context_window,omitempty"` // tokens; of a loaded model
	ExperimentalTools         []string         `json:"experimental_supported_tools"`
	InputModalities           []string         `json:"input_modalities"`
}

// TruncationPolicy is how much of a tool's output Codex shows to the model.
type TruncationPolicy struct {
	Mode  string `json:"mode"`
	Limit int    `json:"limit"`
}

// codexInstructions are the system prompt that Codex uses for the model unless its user has another.
const codexInstructions = "You are a coding agent that works in the user's folder. Look at files with the shell before you change " +
	"them, change them with apply_patch, and check what you did. Keep your answers short, and say what you changed and why."

// NewCodexModel returns the entry of a model, whose place in the list is its priority.
func NewCodexModel(id string, context, place int) CodexModel {
	return CodexModel{
		Slug: id, DisplayName: id, SupportedReasoningLevels: []struct{}{}, ShellType: "default", Visibility: "list", SupportedInAPI: true,
		Priority: place, BaseInstructions: codexInstructions, SupportsReasoningSummary: true, ApplyPatchToolType: "freeform",
		TruncationPolicy: TruncationPolicy{Mode: "bytes", Limit: 10_000}, SupportsParallelToolCalls: true, ContextWindow: context,
		ExperimentalTools: []string{}, InputModalities: []string{"text"},
	}
}
