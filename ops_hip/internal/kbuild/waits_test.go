package main

import "testing"

func TestWithWaits(t *testing.T) {
	const own = ".visible .entry b()\n{\n// %bb.0:\n\tld;\n\tgriddepcontrol.wait;\n\tret;\n}\n"
	const start = ".target sm_90\n.visible .entry a()\n{\n\t.reg .b32 %r<2>;\n// %bb.0:   // start\n"
	got, err := withWaits([]byte(start + "\tret;\n}\n" + own))
	want := start + "\tgriddepcontrol.wait;\n\tret;\n}\n" + own
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if got, err := withWaits([]byte("no kernels")); err != nil || string(got) != "no kernels" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := withWaits([]byte(".visible .entry a()\n{\n\tret;\n}\n")); err == nil {
		t.Error("a kernel without a first block was taken")
	}
}
