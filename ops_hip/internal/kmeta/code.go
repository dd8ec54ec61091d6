package kmeta

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/internal/codeobj"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/decode"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna/hazard"
)

// Code returns the instructions of every kernel of a code object, by name. It must be of an AMD target that the
// decoder knows; every byte from a kernel's entry to its end must decode.
func Code(image []byte) (map[string][]decode.Inst, error) {
	m, err := codeobj.ReadMetadata(image)
	if err != nil {
		return nil, err
	}
	gen, err := decode.GenOf(m.Target)
	if err != nil {
		return nil, fmt.Errorf("kmeta: %w", err)
	}
	o, err := codeobj.Parse(image)
	if err != nil {
		return nil, err
	}
	text, base := o.Text()
	d := decode.New(gen)
	code := map[string][]decode.Inst{}
	for _, k := range o.Kernels {
		var insts []decode.Inst
		for off := int(k.Entry - base); off < int(k.CodeEnd-base); {
			i, err := d.Decode(text, off)
			if err != nil {
				return nil, fmt.Errorf("kmeta: %s: kernel %s: %w", m.Target, k.Name, err)
			}
			insts = append(insts, i)
			off += i.Size
		}
		if len(insts) == 0 {
			return nil, fmt.Errorf("kmeta: %s: kernel %s has no code", m.Target, k.Name)
		}
		code[k.Name] = insts
	}
	return code, nil
}

// CheckCode reports every kernel of a code object whose instructions break a rule: no flat_ instruction, since those
// need apertures and count as two kinds of memory at once; on GFX12, no scalar register that is read too early after
// it was written (see package hazard). PTX has no such rules and passes.
func CheckCode(image []byte) error {
	m, err := codeobj.ReadMetadata(image)
	if err != nil || m.PTX {
		return err
	}
	code, err := Code(image)
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range m.Kernels {
		if err := checkCode(m.Target, code[k.Name]); err != nil {
			errs = append(errs, fmt.Errorf("kmeta: %s: kernel %s: %w", m.Target, k.Name, err))
		}
	}
	return errors.Join(errs...)
}

func checkCode(target string, code []decode.Inst) error {
	if k := slices.IndexFunc(code, func(i decode.Inst) bool { return i.Format == decode.FLAT }); k >= 0 {
		return fmt.Errorf("%#x %q: the compiler lost the address space of a pointer", code[k].Offset, code[k].String())
	}
	if !strings.HasPrefix(target, "gfx12") {
		return nil
	}
	sites, err := hazard.Sites(code)
	if err == nil && len(sites) > 0 {
		err = fmt.Errorf("%d unprotected reads of scalar registers, the first at %v", len(sites), sites[0])
	}
	return err
}

// Mnemonics lists the mnemonics of instructions as they print. Both halves of a dual instruction count.
func Mnemonics(code []decode.Inst) []string {
	var names []string
	for k := range code {
		for i := &code[k]; i != nil; i = i.Y {
			names = append(names, i.Mnemonic)
		}
	}
	return names
}
