// Command gen derives the opcode tables of package decode by asking LLVM's
// disassembler what each opcode of each encoding is called and which operands
// it prints. It assembles probe words as data with llvm-mc-19, disassembles
// them with llvm-objdump-19 and reads operand fields back from the register
// numbers that it put in.
//
//	go run ./_gen -out .
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// slot is the number of dwords reserved for one probe; s_nop fills the rest so
// that the disassembler is in step again at the next probe.
const slot = 6

const literal = 0x12345678

type probe []uint32

// disassemble returns the text of each probe, or "" where it is no instruction.
func disassemble(cpu string, probes []probe) []string {
	dir, err := os.MkdirTemp("", "rdnagen")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var b bytes.Buffer
	b.WriteString(".text\n")
	for _, p := range probes {
		b.WriteString(".long ")
		for i := 0; i < slot; i++ {
			w := uint32(0xbf800000)
			if i < len(p) {
				w = p[i]
			}
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%#x", w)
		}
		b.WriteByte('\n')
	}
	src, obj := filepath.Join(dir, "p.s"), filepath.Join(dir, "p.o")
	if err := os.WriteFile(src, b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			log.Fatalf("%s %v: %v", name, args, err)
		}
		return out
	}
	run("llvm-mc-19", "-triple=amdgcn-amd-amdhsa", "-mcpu="+cpu, "-filetype=obj", src, "-o", obj)
	text := run("llvm-objdump-19", "-d", "--mcpu="+cpu, obj)
	res := make([]string, len(probes))
	for _, line := range strings.Split(string(text), "\n") {
		i := strings.LastIndex(line, "//")
		if i < 0 {
			continue
		}
		addrHex, _, ok := strings.Cut(strings.TrimSpace(line[i+2:]), ":")
		if !ok {
			continue
		}
		addr, err := strconv.ParseUint(addrHex, 16, 64)
		if err != nil || addr%(4*slot) != 0 || int(addr/(4*slot)) >= len(probes) {
			continue
		}
		t := strings.TrimSpace(line[:i])
		if !strings.HasPrefix(t, ".long") && !strings.Contains(t, "Invalid") && !strings.Contains(t, "Warning") {
			res[addr/(4*slot)] = t
		}
	}
	return res
}

// format describes how to probe one encoding.
type format struct {
	name  string
	ops   int
	fill  []fill            // tried in order; the first that prints wins
	field map[string]string // first register of a token to operand field
	typed map[string]func(fill, int, uint32) probe
}

// fill builds the probe of one opcode; s0, s1, s2 are the source operand codes.
type fill struct {
	s0, s1, s2 uint32
	hi         uint32 // extra bits
	enc        func(f fill, op int) probe
}

var tokenRE = regexp.MustCompile(`^([vs])\[?(\d+)(?::(\d+))?\]?$`)

// dropped are instructions that no compute kernel contains: they need buffer or
// image resources, the trap handler or hardware state that the executor has not.
var dropped = regexp.MustCompile(
	`atc_probe|addtid|_block$|sendmsg_rtn|buffer_(load|store|atomic)|s_rfe|global_load_tr|s_version`)

// signature turns printed operands into the table's notation.
func signature(f format, text string) (name, sig string, ok bool) {
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return name, "", true
	}
	switch name {
	case "s_waitcnt", "s_delay_alu", "s_waitcnt_depctr", "s_wait_alu", "s_sendmsg", "s_sendmsghalt":
		return name, "Wk1", true // printed by rules of its own
	}
	var toks []string
	depth, start := 0, 0
	for i := 0; i <= len(rest); i++ {
		if i == len(rest) || rest[i] == ',' && depth == 0 {
			toks = append(toks, strings.TrimSpace(rest[start:i]))
			start = i + 1
			continue
		}
		switch rest[i] {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		}
	}
	if f.name != "SOPK" {
		last := &toks[len(toks)-1]
		*last, _, _ = strings.Cut(*last, " ")
	}
	var out []string
	for i, t := range toks {
		m := tokenRE.FindStringSubmatch(t)
		switch {
		case m != nil:
			fld := f.field[m[1]+m[2]]
			if fld == "" {
				return name, text, false
			}
			w := 1
			if m[3] != "" {
				lo, _ := strconv.Atoi(m[2])
				hi, _ := strconv.Atoi(m[3])
				w = hi - lo + 1
			}
			out = append(out, fmt.Sprintf("%s%s%d", fld, m[1], w))
		case t == "vcc_lo" && i <= 1:
			out = append(out, map[int]string{0: "Dc1", 1: "Sc1"}[i])
		case t == "vcc_lo":
			out = append(out, "2c1")
		case t == "exec_lo" && i == 0:
			out = append(out, "Ds1")
		case t == "off" || t == "null":
			if fld := f.field[t]; fld != "" {
				out = append(out, fld)
			}
		case t == "0x12345678":
			out = append(out, "Lk1")
		case t == "0x1234":
			out = append(out, "Kk1")
		case t == "4660":
			out = append(out, "Bk1")
		case t == "0x40" || t == "64":
			out = append(out, "Ok1")
		case f.field[t] != "":
			out = append(out, f.field[t])
		default:
			return name, text, false
		}
	}
	return name, strings.Join(out, " "), true
}

type row struct {
	op        int
	name, sig string
}

// scan probes every opcode of a format.
func scan(cpu string, f format) []row {
	var ps []probe
	for op := 0; op < f.ops; op++ {
		for _, fl := range f.fill {
			ps = append(ps, fl.enc(fl, op))
		}
	}
	texts := disassemble(cpu, ps)
	var rows []row
	type typeProbe struct {
		row, tok int
		at       int
	}
	var tps []typeProbe
	var tprobes []probe
	for op := 0; op < f.ops; op++ {
		for k, fl := range f.fill {
			t := texts[op*len(f.fill)+k]
			if t == "" {
				continue
			}
			name, sig, ok := signature(f, t)
			if dropped.MatchString(name) {
				break
			}
			if !ok {
				log.Printf("%s %s %#x: skipped: %s", cpu, f.name, op, t)
				break
			}
			toks := strings.Fields(sig)
			for i, tok := range toks {
				mk := f.typed[tok[:1]]
				if mk == nil || tok[1] == 'c' || tok[1] == 'k' {
					continue
				}
				tps = append(tps, typeProbe{len(rows), i, len(tprobes)})
				tprobes = append(tprobes, mk(fl, op, 255), mk(fl, op, 240))
			}
			rows = append(rows, row{op, name, sig})
			break
		}
	}
	tt := disassemble(cpu, tprobes)
	for _, tp := range tps {
		r := &rows[tp.row]
		toks := strings.Fields(r.sig)
		tok := toks[tp.tok]
		lit, half := tt[tp.at], tt[tp.at+1]
		class := tok[1]
		switch {
		case lit == "" && half == "":
			// a register is all that this operand may be
		case strings.Contains(lit, "0x5678") && strings.Contains(half, " 0x3800") ||
			strings.Contains(half, ", 0x3800"):
			class = 'w'
		case strings.Contains(lit, "0x5678"):
			class = 'h'
		default:
			class = 'x'
		}
		toks[tp.tok] = tok[:1] + string(class) + tok[2:]
		r.sig = strings.Join(toks, " ")
	}
	return rows
}

func main() {
	out := flag.String("out", ".", "directory for the tables")
	flag.Parse()
	log.SetFlags(0)
	for _, g := range []struct {
		gen  string
		cpus []string
		late string // rows of cpus[0] alone carry this mark
	}{
		{"gfx11", []string{"gfx1151", "gfx1150", "gfx1100", "gfx1101", "gfx1102", "gfx1103"}, "rdna35"},
		{"gfx12", []string{"gfx1201", "gfx1200"}, ""},
	} {
		for _, f := range formats(g.gen) {
			all := map[string][]row{}
			for _, c := range g.cpus {
				all[c] = scan(c, f)
			}
			write(*out, g.gen, f.name, g.cpus, all)
		}
	}
}

func write(dir, gen, format string, cpus []string, all map[string][]row) {
	first := map[int]row{}
	for _, r := range all[cpus[0]] {
		first[r.op] = r
	}
	have := map[int]int{}
	for _, c := range cpus[1:] {
		for _, r := range all[c] {
			if first[r.op] != r {
				log.Printf("%s %s: %s has %v, %s has %v", gen, format, c, r, cpus[0], first[r.op])
			}
			have[r.op]++
		}
	}
	var ops []int
	for op := range first {
		ops = append(ops, op)
	}
	sort.Ints(ops)
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by _gen from llvm-mc-19 and llvm-objdump-19. DO NOT EDIT.\n\npackage decode\n\n")
	fmt.Fprintf(&b, "var %s%s = []opRow{\n", gen, format)
	for _, op := range ops {
		r := first[op]
		late := ""
		if have[op] != len(cpus)-1 {
			late = ", late: true"
		}
		fmt.Fprintf(&b, "\t{op: %#x, name: %q, sig: %q%s},\n", r.op, r.name, r.sig, late)
	}
	fmt.Fprintf(&b, "}\n")
	name := filepath.Join(dir, fmt.Sprintf("table_%s_%s.go", gen, strings.ToLower(format)))
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
