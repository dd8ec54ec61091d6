package engine

import (
	"reflect"
	"testing"
)

// TestStatsAdd adds every count, also those that will be added to the type.
func TestStatsAdd(t *testing.T) {
	var a, b Stats
	va, vb := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	for i := range va.NumField() {
		if f := va.Field(i); f.Kind() == reflect.Uint64 {
			f.SetUint(uint64(i + 1))
			vb.Field(i).SetUint(100)
		} else {
			f.SetInt(7)
		}
	}
	sum := reflect.ValueOf(a.Add(b))
	for i := range sum.NumField() {
		name, f := sum.Type().Field(i).Name, sum.Field(i)
		want := int64(0)
		if name == "Longest" {
			want = 7 // the larger of both
		}
		if f.Kind() == reflect.Uint64 && f.Uint() != uint64(i+101) || f.Kind() == reflect.Int && f.Int() != want {
			t.Errorf("%s is %v", name, f)
		}
	}
}
