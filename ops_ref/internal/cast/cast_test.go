package cast

import "testing"

// TestOverlap covers slices of one array that meet, touch and lie apart.
func TestOverlap(t *testing.T) {
	b := make([]byte, 10)
	for _, c := range []struct {
		x, y []byte
		want bool
	}{{b, b, true}, {b[:5], b[4:], true}, {b[:5], b[5:], false}, {b, b[3:4], true}, {b[3:3], b, false},
		{b, make([]byte, 10), false}, {nil, b, false}} {
		if Overlap(c.x, c.y) != c.want || Overlap(c.y, c.x) != c.want {
			t.Errorf("%d bytes and %d of capacity %d and %d: not %v", len(c.x), len(c.y), cap(c.x), cap(c.y), c.want)
		}
	}
}
