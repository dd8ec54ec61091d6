package doctor

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestVisible hides cards as ROCm's runtimes do, and looks how the rest are called.
func TestVisible(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"", "hip:0 none hip:2"}, // the one in the middle has no kernels
		{"HIP_VISIBLE_DEVICES=2", "none none hip:0"},
		{"HIP_VISIBLE_DEVICES=2,0", "hip:1 none hip:0"},
		{"HIP_VISIBLE_DEVICES=2,2,0", "none none hip:0"},
		{"HIP_VISIBLE_DEVICES=0,7,2", "hip:0 none none"},
		{"HIP_VISIBLE_DEVICES=", "none none none"},
		{"CUDA_VISIBLE_DEVICES=2", "none none hip:0"},
		{"CUDA_VISIBLE_DEVICES=2\x00HIP_VISIBLE_DEVICES=0", "hip:0 none none"},
		{"ROCR_VISIBLE_DEVICES=1,2\x00HIP_VISIBLE_DEVICES=1", "none none hip:0"},
		{"ROCR_VISIBLE_DEVICES=GPU-00AB", "hip:0 none none"},
		{"ROCR_VISIBLE_DEVICES=GPU-00", "hip:0 none none"},
		{"ROCR_VISIBLE_DEVICES=GPU-", "none none none"},
	} {
		files := readTree(t, "testdata/igpu-beside-dgpu.txtar")
		files["proc/self/environ"] = &fstest.MapFile{Data: []byte("A=b\x00" + c.env + "\x00")}
		properties := files[nodes+"/1/properties"]
		properties.Data = append(properties.Data, "unique_id 48145062080479231\n"...) // 00ab0badcafeffff
		var got []string
		for _, g := range Examine(options(files)).GPUs {
			if g.Device == "" {
				g.Device = "none"
			}
			got = append(got, g.Device)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %s, want %s", c.env, s, c.want)
		}
	}
}
