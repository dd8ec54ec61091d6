//go:build !amd64 || noasm

package simd

func hasQueryPanels() bool { return false }

func asmTranspose(*float32, *float32, int) bool { return false }

func asmPanelScores(*float32, *float32, int, int, *float32) bool { return false }

func asmSoftmax(*float32, int, *int32, *int32, float32, *float32, *float32) bool { return false }

func asmPanelValues(*float32, int, *float32, *float32, int) bool { return false }

func asmPanelValue(*float32, int, *float32, *float32, int) bool { return false }

func asmMergeRows(*float32, *float32, *float32, *float32, int, int) bool { return false }

func asmWidenRows(FloatType, *float32, *byte, int, int, int) bool { return false }

func asmRowScores(*float32, int, Matrix, int, Heads, *float32, *byte) bool { return false }

func asmRowValues(*float32, Matrix, int, Heads, *float32, int, *byte) bool { return false }
