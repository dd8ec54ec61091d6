package opship

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/tensor"
)

// graphProof are the sizes of what proveGraphs runs.
const (
	graphProofSize   = 1000
	graphProofRounds = 6 // of each plan: directly, captured, and replays
)

// checkGraphs lets the device launch kernels one by one if its runtime has no graphs, or if their results are wrong,
// and says so. It is called once, before the first plan of others is compiled.
func (d *Device) checkGraphs() {
	if d.opt.Direct || d.rt.Name() == "emu" { // whose graphs are lists of this program
		return
	}
	err := d.proveGraphs()
	if err == nil {
		return
	}
	d.noGraphs = err
	if errors.Is(err, hiprt.ErrNoGraphs) {
		d.opt.Log.Info("kernels are launched one by one", "device", d.info.Name, "reason", err)
	} else {
		d.opt.Log.Warn("kernels are launched one by one: graphs cannot be trusted", "device", d.info.Name, "reason",
			err)
	}
}

// proveGraphs captures two plans of the same kernels on different memory, and replays them by turns: there have been
// runtimes whose graphs shared the arguments of a kernel. The error says what was wrong, or that nothing can be
// captured.
func (d *Device) proveGraphs() (err error) {
	s, err := d.Stream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	type proof struct {
		plan *Plan
		got  [graphProofRounds][]byte
	}
	var proofs [2]proof
	defer func() {
		for _, p := range proofs {
			if p.plan != nil {
				err = errors.Join(err, p.plan.Close())
			}
		}
	}()
	for i := range proofs {
		g := &ops.Graph{}
		x, y := g.Input("x", tensor.F32, graphProofSize), g.Input("y", tensor.F32, graphProofSize)
		p, err := d.compile(g, nil, []ops.Value{ops.Add(g, ops.Add(g, x, y), y)})
		if err != nil {
			return err
		}
		p.quiet = true // checkGraphs says why
		proofs[i].plan = p
		for j, name := range []string{"x", "y"} {
			var data []byte
			for k := range graphProofSize {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(1+k*(2*i+1)+j*17)/8))
			}
			in, _ := p.Input(name)
			if err := s.Upload(in, data); err != nil {
				return err
			}
		}
	}
	for round := range graphProofRounds {
		for i := range proofs {
			p := &proofs[i]
			out := p.plan.Output(0)
			p.got[round] = make([]byte, 4*graphProofSize)
			if err := errors.Join(s.Zero(out), s.Run(p.plan), s.Download(p.got[round], out)); err != nil {
				return err
			}
		}
	}
	if err := s.Sync(background); err != nil {
		return err
	}
	for i := range proofs {
		p := &proofs[i]
		if p.plan.noGraph != nil { // read after Sync, which ended the device thread's work
			return p.plan.noGraph
		}
		for round := 1; round < graphProofRounds; round++ {
			if !bytes.Equal(p.got[round], p.got[0]) {
				return fmt.Errorf("replay %d of graph %d gives other results than direct launches", round, i+1)
			}
		}
	}
	if bytes.Equal(proofs[0].got[0], proofs[1].got[0]) {
		return errors.New("two plans with different inputs give the same results")
	}
	return nil
}
