package gguf

import "fmt"

// The value type ids of metadata, as files store them.
const (
	typeUint8 uint32 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
	typeCount
)

// typeNames spells the value types as the GGUF specification does.
var typeNames = [typeCount]string{"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool",
	"string", "array", "uint64", "int64", "float64"}

// minSizes holds the fewest bytes that a value of each type takes in a file; a string is at least its length.
var minSizes = [typeCount]int64{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// typeOf returns the type id of a metadata value and, for an array, that of its elements and their number.
// ok is false for a Go type that GGUF cannot hold.
func typeOf(v any) (id, elem uint32, n int, ok bool) {
	switch v := v.(type) {
	case uint8:
		return typeUint8, 0, 0, true
	case int8:
		return typeInt8, 0, 0, true
	case uint16:
		return typeUint16, 0, 0, true
	case int16:
		return typeInt16, 0, 0, true
	case uint32:
		return typeUint32, 0, 0, true
	case int32:
		return typeInt32, 0, 0, true
	case float32:
		return typeFloat32, 0, 0, true
	case bool:
		return typeBool, 0, 0, true
	case string:
		return typeString, 0, 0, true
	case uint64:
		return typeUint64, 0, 0, true
	case int64:
		return typeInt64, 0, 0, true
	case float64:
		return typeFloat64, 0, 0, true
	case []uint8:
		return typeArray, typeUint8, len(v), true
	case []int8:
		return typeArray, typeInt8, len(v), true
	case []uint16:
		return typeArray, typeUint16, len(v), true
	case []int16:
		return typeArray, typeInt16, len(v), true
	case []uint32:
		return typeArray, typeUint32, len(v), true
	case []int32:
		return typeArray, typeInt32, len(v), true
	case []float32:
		return typeArray, typeFloat32, len(v), true
	case []bool:
		return typeArray, typeBool, len(v), true
	case []string:
		return typeArray, typeString, len(v), true
	case []uint64:
		return typeArray, typeUint64, len(v), true
	case []int64:
		return typeArray, typeInt64, len(v), true
	case []float64:
		return typeArray, typeFloat64, len(v), true
	}
	return 0, 0, 0, false
}

// TypeName returns the type of a metadata value as [Meta.Value] returns it: "uint32", "string" and so on, and
// "array of 8 uint32" for arrays. For a Go type that GGUF cannot hold it names that.
func TypeName(v any) string {
	id, elem, n, ok := typeOf(v)
	switch {
	case !ok:
		return fmt.Sprintf("Go type %T", v)
	case id == typeArray:
		return fmt.Sprintf("array of %d %s", n, typeNames[elem])
	}
	return typeNames[id]
}
