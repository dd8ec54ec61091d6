package opship

import "github.com/hipengine/hipengine/ops"

// Limits of the route kernels: LDS for the scores, and a lane for each choice and group.
const (
	maxRouteExperts = 1024
	maxRouteK       = 32
	maxRouteGroups  = 32
)

var routeKernels = map[ops.Gating]string{ops.Softmax: "route_f32_softmax", ops.SigmoidGate: "route_f32_sigmoid",
	ops.SoftmaxTopK: "route_f32_topk"}

func init() {
	Register(Kernel{
		Name: "route_f32",
		Op:   ops.RouteOp,
		Match: func(n *ops.Node, _ *Target) int {
			s, a := n.In[0].Shape(), n.Attrs.(ops.RouteAttrs)
			_, ok := routeKernels[a.Gating]
			return matchIf(ok && fits(s[0]) && s[1] <= maxRouteExperts && a.K <= maxRouteK &&
				a.Groups <= maxRouteGroups, matchPlain)
		},
		Launch: func(n *ops.Node, _ *Target) ([]Launch, error) {
			s, a := n.In[0].Shape(), n.Attrs.(ops.RouteAttrs)
			norm := 0
			if a.Norm {
				norm = 1
			}
			l := Launch{Object: "route", Symbol: routeKernels[a.Gating], Grid: [3]uint32{uint32(s[0])},
				Block: [3]uint32{32},
				Args: Args{}.Ptr(n.In[0]).optional(n, 1).Ptr(n.Result(0)).Ptr(n.Result(1)).i32s(s[1], a.K,
					norm).F32(a.Scale)}
			if a.Groups > 1 {
				l.Symbol = "route_f32_groups"
				l.Args = l.Args.i32s(int(a.Gating), a.Groups, a.UsedGroups, a.GroupBest)
			}
			return one(l)
		},
	})
}
