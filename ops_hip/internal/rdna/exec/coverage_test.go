package exec

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
)

// unsupported are the prefixes of decodable instructions that have no executor;
// reaching one is a fault. No kernel of an inference engine needs them.
var unsupported = []string{
	// register indexing, debugging
	"s_movrel", "s_quadmask_b64", "s_wqm_b64", "s_cls_i32_i64", "s_sethalt", "s_sendmsghalt", "s_endpgm_saved",
	"s_barrier_init", "s_barrier_join", "s_wakeup_barrier", "s_get_barrier_state", "s_barrier_leave", // named barriers
	"s_subvector", "s_cbranch_cdbg", "s_setkill", "s_code_end",
	// graphics, video, libm's argument reduction
	"v_cube", "v_mullit", "v_qsad", "v_mqsad", "v_trig_preop", "v_movrel",
	"v_cvt_pk_fp8", "v_cvt_pk_bf8", "v_cvt_sr_", "v_dot4_f32", "v_swmmac", // fp8 rounding and sparse matrices
	"ds_wrap", "ds_nop", "ds_mskor", "ds_cmpstore_f", "ds_cmpstore_rtn_f", "ds_bvh", "ds_condxchg",
	"ds_storexchg_2addr", "ds_cond_sub", "ds_sub_clamp",
	"flat_atomic_cmpswap_f32", "global_atomic_cmpswap_f32", "global_atomic_ordered",
}

// wave64Only are the 64-bit EXEC operations, which wave32 code does not use.
func wave64Only(name string) bool {
	return strings.HasSuffix(name, "saveexec_b64") || strings.HasSuffix(name, "wrexec_b64")
}

// TestExecutorCoverage tries to compile every instruction of the tables.
func TestExecutorCoverage(t *testing.T) {
	used := map[string]bool{}
	defer func() {
		for _, prefix := range unsupported {
			if !used[prefix] {
				t.Errorf("no instruction starts with %q", prefix)
			}
		}
	}()
	each(t, func(t *testing.T, g decode.Gen) {
		a := asm{t, g}
		count, missing := 0, 0
		for _, f := range []decode.Format{decode.SOP1, decode.SOP2, decode.SOPC, decode.SOPK, decode.SOPP, decode.VOP3,
			decode.VOP3P, decode.DS, decode.GLOBAL, decode.FLAT, decode.SCRATCH} {
			for _, name := range decode.New(g).Names(f) {
				op := a.op(f, name)
				var words []uint32
				switch f {
				case decode.SOP1:
					words = []uint32{0x17d<<23 | 8<<16 | op<<8 | 4}
				case decode.SOP2:
					words = []uint32{2<<30 | op<<23 | 8<<16 | 16<<8 | 4, 0}
				case decode.SOPC:
					words = []uint32{0x17e<<23 | op<<16 | 16<<8 | 4}
				case decode.SOPK:
					words = []uint32{11<<28 | op<<23 | 8<<16 | 1, 0}
				case decode.SOPP:
					words = []uint32{0x17f<<23 | op<<16}
				case decode.VOP3:
					words = vop3Words(g, op, strings.HasPrefix(name, "v_s_") || strings.HasSuffix(name, "lane_b32"))
				case decode.VOP3P:
					words = []uint32{0xcc<<24 | op<<16 | 64 | 1<<14, 256 | 272<<9 | 288<<18 | 3<<27}
				case decode.DS:
					words = a.ds(name, 8, 0, 16, 24, 0)
				default:
					words = a.global("global_load_b32", 64, 0, 16, 0, false)
					if g == decode.GFX12 {
						words[0] = 0xec<<24 | uint32(f-decode.FLAT)<<24 | op<<14 | decode.Null
					} else {
						words[0] = 0x37<<26 | op<<18 | uint32(f-decode.FLAT)<<16
					}
				}
				var text []byte
				for _, w := range append(words, sEndpgm, sEndpgm) {
					text = binary.LittleEndian.AppendUint32(text, w)
				}
				i, err := decode.New(g).Decode(text, 0)
				if err != nil {
					continue // the operands chosen here do not suit it
				}
				count++
				p := &Program{gen: g, insts: []decode.Inst{i}, index: make([]int32, 8)}
				c := &compiler{prog: p, thr: &threaded{prog: p, start: make([]int32, 9)}}
				known := wave64Only(i.Name)
				for _, prefix := range unsupported {
					if strings.HasPrefix(i.Name, prefix) {
						known, used[prefix] = true, true
					}
				}
				if _, err := c.compile(&i); err != nil && !droppable(&i) {
					missing++
					if !known && !strings.HasPrefix(i.Name, "s_getreg") &&
						!strings.HasPrefix(i.Name, "s_barrier_signal") {
						t.Errorf("%v %s has no executor: %v", f, i.String(), err)
					}
				}
			}
		}
		t.Logf("%d of %d instructions have an executor", count-missing, count)
	})
}

// vop3Words picks operands that an instruction accepts.
func vop3Words(g decode.Gen, op uint32, scalar bool) []uint32 {
	choices := [][3]uint32{{256, 272, 288}, {256, 272, 16}, {256, 16, 24}, {256, 272, 0}, {256, 16, 0}, {256, 0, 0},
		{4, 16, 0}}
	if scalar {
		slices.Reverse(choices)
	}
	for _, src := range choices {
		words := []uint32{0x35<<26 | op<<16 | 64, src[0] | src[1]<<9 | src[2]<<18}
		text := binary.LittleEndian.AppendUint32(nil, words[0])
		text = binary.LittleEndian.AppendUint32(text, words[1])
		if _, err := decode.New(g).Decode(text, 0); err == nil {
			return words
		}
	}
	return []uint32{0x35<<26 | op<<16 | 64, 0}
}
