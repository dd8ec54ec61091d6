package openai

// Boolean returns true or false.
func (v Value) Boolean() bool {
	if kind(v.raw) != "a boolean" {
		v.r.wrongType(v.path, "a boolean", v.raw)
	}
	return v.raw[0] == 't'
}

// FunctionName returns the name of a function.
func (v Value) FunctionName() string { return v.r.functionName(v.path, v.raw) }
