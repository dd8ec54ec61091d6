package runner

import "testing"

// TestMostPages finds the last page that fits, with few plans made, whatever they take.
func TestMostPages(t *testing.T) {
	const all, page = 5000, 10
	for _, free := range []int64{0, 9, 10, 99, 100, 1000, 12_345, 49_989, 50_009} {
		for name, plan := range map[string]func(pages int) int64{
			"none":     func(int) int64 { return 0 },
			"constant": func(int) int64 { return 90 },
			"growing":  func(pages int) int64 { return int64(pages) / 7 },
			"steps":    func(pages int) int64 { return int64(pages) / 1000 * 100 },
			"bounded":  func(pages int) int64 { return min(int64(pages)*3, 600) },
		} {
			need := func(pages int) int64 { return int64(pages)*page + plan(pages) }
			want := 0
			for want < all && need(want+1) <= free {
				want++
			}
			if want == all {
				continue // all fit, and nobody asks
			}
			made := 0
			got := mostPages(all, plan(all), func(pages int, plans int64) bool {
				if plans >= 0 {
					return int64(pages)*page+plans <= free
				}
				made++
				return need(pages) <= free
			})
			if got != want || made > 20 || name == "constant" && made > 1 {
				t.Errorf("%s in %d bytes: %d pages with %d plans, want %d", name, free, got, made, want)
			}
		}
	}
}
