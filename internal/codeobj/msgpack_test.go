package codeobj

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

func TestMsgpack(t *testing.T) {
	be := binary.BigEndian
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		in   []byte
		want any
	}{
		"fixint":   {[]byte{7}, int64(7)},
		"negative": {[]byte{0xfb}, int64(-5)},
		"uint16":   {[]byte{0xcd, 1, 2}, int64(258)},
		"uint32":   {be.AppendUint32([]byte{0xce}, 1<<31), int64(1 << 31)},
		"int8":     {[]byte{0xd0, 0x80}, int64(-128)},
		"int16":    {[]byte{0xd1, 0xff, 0xfe}, int64(-2)},
		"bool":     {[]byte{0xc3}, true},
		"nil":      {[]byte{0xc0}, nil},
		"str16":    {append([]byte{0xda, 1, 44}, long...), long},
	} {
		if got, err := decode(c.in); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	l, err := decode([]byte{0xdc, 0, 2, 1, 0xa1, 'a'})
	if err != nil || !slices.Equal(l.([]any), []any{int64(1), "a"}) {
		t.Errorf("list %v, %v", l, err)
	}
	for name, in := range map[string][]byte{
		"empty":              nil,
		"long string":        {0xdb, 0xff, 0xff, 0xff, 0xff, 'a'},
		"long list":          {0xdd, 0xff, 0xff, 0xff, 0xff, 1},
		"long map":           {0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a', 1},
		"key that is no str": {0x81, 1, 1},
		"deep":               bytes.Repeat([]byte{0x91}, 1000),
		"binary":             {0xc4, 1, 1},
	} {
		if v, err := decode(in); err == nil {
			t.Errorf("%s: decoded as %v", name, v)
		}
	}
}
