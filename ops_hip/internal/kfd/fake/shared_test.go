//go:build linux

package fake

import (
	"slices"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/kfd/abi"
)

// TestWritten finds pages when somebody has stored to them, and those of before again.
func TestWritten(t *testing.T) {
	const page = abi.PageSize
	s, err := newShared(8 * page)
	if err != nil {
		t.Fatal(err)
	}
	defer s.release()
	var want [][2]int
	for _, p := range []int{1, 1, 2, 7} {
		s.data[p*page+5] = byte(p)
		switch p {
		case 1:
			want = [][2]int{{page, 2 * page}}
		case 2:
			want = [][2]int{{page, 3 * page}}
		case 7:
			want = [][2]int{{page, 3 * page}, {7 * page, 8 * page}}
		}
		for range 2 {
			var got [][2]int
			s.written(func(lo, hi int) { got = append(got, [2]int{lo, hi}) })
			if !slices.Equal(got, want) {
				t.Errorf("after a store to page %d: %v, want %v", p, got, want)
			}
		}
	}
}
