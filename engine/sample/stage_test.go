package sample

import (
	"fmt"
	"testing"
)

func TestParseOrder(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "[]",
		"edskypmxt":                  "[penalties dry top_n_sigma top_k typ_p top_p min_p xtc temperature]",
		"kpt":                        "[top_k top_p temperature]",
		"temp":                       "[temperature]",
		"typ":                        "[typ_p]",
		"t":                          "[temperature]",
		"top-k;nucleus; min-p;xtc":   "[top_k top_p min_p xtc]",
		"dry":                        "[dry]",
		"top_n_sigma;typical;top_k":  "[top_n_sigma typ_p top_k]",
		"penalties;temperature;temp": "[penalties temperature temperature]",
	} {
		got, err := ParseOrder(text)
		if err != nil || fmt.Sprint(got) != want || got == nil {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"infill", "kz", "top_k;;top_p", "k;p", "adaptive_p"} {
		if got, err := ParseOrder(text); err == nil {
			t.Errorf("%q: %v, no error", text, got)
		}
	}
	if fmt.Sprint(defaultOrder) != "[penalties dry top_n_sigma top_k typ_p top_p min_p xtc temperature]" {
		t.Errorf("the default is %v", defaultOrder)
	}
}
