// Package strictjson reads JSON that strangers wrote, in which nothing may be ambiguous or without bound: a key that
// an object has twice, text behind the value, bytes that are no UTF-8, nesting and objects beyond a limit are errors.
package strictjson
