package kv

import (
	"errors"
	"slices"
	"testing"
)

func TestPool(t *testing.T) {
	p := NewPool(5)
	a, err := p.Take(nil, 3)
	if err != nil || len(a) != 3 || p.Free() != 2 {
		t.Fatalf("Take(3) of 5 = %v, %v with %d left", a, err, p.Free())
	}
	if b, err := p.Take(a[:1:1], 3); !errors.Is(err, ErrNoPages) || len(b) != 1 || p.Free() != 2 {
		t.Errorf("Take(3) of 2 = %v, %v with %d left, want ErrNoPages and no change", b, err, p.Free())
	}
	b := p.Share(nil, a[:2])
	p.Return(a)
	if p.Free() != 3 {
		t.Errorf("%d pages free while two are shared, want 3", p.Free())
	}
	c, err := p.Take(nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range c {
		if slices.Contains(b, page) {
			t.Errorf("page %d was handed out while a table holds it", page)
		}
	}
	p.Return(b)
	p.Return(c)
	all, err := p.Take(nil, 5)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	if !slices.Equal(all, []int32{0, 1, 2, 3, 4}) {
		t.Errorf("pages after everything was returned: %v", all)
	}
}
