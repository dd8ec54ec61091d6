package relu2

import (
	"embed"
	"io/fs"
	"math"

	"github.com/hipengine/hipengine/ops"
	opship "github.com/hipengine/hipengine/ops_hip"
	"github.com/hipengine/hipengine/ops_hip/codeobj"
)

// target is what the kernels are compiled for. Devices of other targets expand the fused op, and refuse the plain one.
const target = "gfx1100"

// The objects are hipengine's kind of kernel, and compiled by its tool:
//
//go:generate go run github.com/hipengine/hipengine/ops_hip/internal/kbuild -loose -src kernels -out codeobj gfx1100
//go:embed codeobj/gfx1100/*.co
var objects embed.FS

func init() {
	files, err := fs.Sub(objects, "codeobj/"+target)
	if err != nil {
		panic(err) // the path is a constant
	}
	codeobj.Register(target, "example.com/thirdparty", files)
	opship.Register(kernel("relu2_f32", Op))
	opship.Register(kernel("reglu2_f32", GatedOp))
}

// kernel returns the launcher of an elementwise kernel of object relu2.
func kernel(name string, op *ops.Def) opship.Kernel {
	const block = 256
	return opship.Kernel{
		Name: name,
		Op:   op,
		Match: func(n *ops.Node, t *opship.Target) int {
			if t.Name != target || n.In[0].Shape().Elems() > math.MaxInt32 {
				return -1
			}
			return 0
		},
		Launch: func(n *ops.Node, _ *opship.Target) ([]opship.Launch, error) {
			elems := n.In[0].Shape().Elems()
			args := opship.Args{}
			for _, v := range n.In {
				args = args.Ptr(v)
			}
			return []opship.Launch{{
				Object: "relu2", Symbol: name,
				Grid: [3]uint32{opship.Blocks(elems, block)}, Block: [3]uint32{block},
				Args: args.Ptr(n.Result(0)).U32(uint32(elems)),
			}}, nil
		},
	}
}
