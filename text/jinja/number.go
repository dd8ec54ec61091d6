package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// normInt returns n as an int64 if it fits, else as it is.
func normInt(n *big.Int) value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// boundedInt is normInt with the bound on the size of integers.
func boundedInt(n *big.Int) (value, error) {
	if n.BitLen() > maxIntBits {
		return nil, &LimitError{Limit: "integer bits", Max: maxIntBits}
	}
	return normInt(n), nil
}

// bigInt returns v as a big integer if it is an integer or a bool.
func bigInt(v value) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// smallInt returns v as an int64 if it is an integer of that size or a bool.
func smallInt(v value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// clampInt returns v as an int64, larger integers as the nearest int64. It serves indexes and counts, where both mean
// the same.
func clampInt(v value) (int64, bool) {
	if n, ok := v.(*big.Int); ok {
		if n.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return smallInt(v)
}

// isNumber reports whether v is an integer, a float or a bool, as Python's numbers.Number does.
func isNumber(v value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// toFloat returns a number as a float.
func toFloat(v value) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f
	default:
		n, _ := smallInt(v)
		return float64(n)
	}
}

var errZeroDivision = errors.New("division by zero")

// arith computes l op r for numbers; op is one of + - * / // % **.
func arith(op string, l, r value) (value, error) {
	a, aok := smallInt(l)
	b, bok := smallInt(r)
	if aok && bok {
		// Fast path for results that cannot overflow.
		const half = 1 << 31
		small := a > -half && a < half && b > -half && b < half
		switch {
		case op == "+" && small:
			return a + b, nil
		case op == "-" && small:
			return a - b, nil
		case op == "*" && small:
			return a * b, nil
		}
	}
	x, xok := bigInt(l)
	y, yok := bigInt(r)
	if xok && yok && op != "/" && (op != "**" || y.Sign() >= 0) {
		return bigArith(op, x, y)
	}
	a64, b64 := toFloat(l), toFloat(r)
	if xok && math.IsInf(a64, 0) || yok && math.IsInf(b64, 0) {
		return nil, errors.New("int too large to convert to float")
	}
	return floatArith(op, a64, b64)
}

// bigArith computes op on integers; division rounds down, as in Python.
func bigArith(op string, x, y *big.Int) (value, error) {
	z := new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			return nil, errZeroDivision
		}
		m := new(big.Int)
		z.DivMod(x, y, m) // the remainder is not negative
		if m.Sign() != 0 && y.Sign() < 0 {
			z.Sub(z, big.NewInt(1))
			m.Add(m, y)
		}
		if op == "%" {
			z = m
		}
	case "**":
		// The result has about BitLen(x)*y bits: check before computing it.
		if x.BitLen() > 1 && (y.BitLen() > 16 || int64(x.BitLen()-1)*y.Int64() > maxIntBits) {
			return nil, &LimitError{Limit: "integer bits", Max: maxIntBits}
		}
		if x.BitLen() <= 1 {
			// 0, 1 and -1: only the parity of the exponent matters.
			y = new(big.Int).SetUint64(uint64(min(y.BitLen(), 1)) * (2 - uint64(y.Bit(0))))
		}
		z.Exp(x, y, nil)
	}
	return boundedInt(z)
}

// floatArith computes op on floats.
func floatArith(op string, x, y float64) (value, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "**":
		if x == 0 && y < 0 {
			return nil, errors.New("0.0 cannot be raised to a negative power")
		}
		return math.Pow(x, y), nil
	}
	if y == 0 {
		return nil, errZeroDivision
	}
	switch op {
	case "/":
		return x / y, nil
	case "//":
		return math.Floor(x / y), nil
	default:
		m := math.Mod(x, y)
		if m != 0 && (m < 0) != (y < 0) {
			m += y
		}
		return m, nil
	}
}

// negate returns -v.
func negate(v value) (value, error) {
	switch v := v.(type) {
	case float64:
		return -v, nil
	case undefined:
		return nil, errors.New(v.msg)
	}
	if n, ok := bigInt(v); ok {
		return normInt(new(big.Int).Neg(n)), nil
	}
	return nil, fmt.Errorf("bad operand type for unary -: '%s'", typeName(v))
}

// compareNumbers returns -1, 0 or 1; ok is false if one of them is no number or NaN.
func compareNumbers(l, r value) (c int, ok bool) {
	if !isNumber(l) || !isNumber(r) {
		return 0, false
	}
	x, xok := bigInt(l)
	y, yok := bigInt(r)
	if xok && yok {
		return x.Cmp(y), true
	}
	a, b := toFloat(l), toFloat(r)
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	}
	return 0, a == b
}

// floatRepr spells f as Python does: the shortest digits that read back as f, with an exponent only outside
// 1e-4 <= |f| < 1e16.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// parseInt reads an integer as Python's int(s, base) does: blanks around it, a sign, "_" between digits.
func parseInt(s string, base int) (value, bool) {
	s = strings.TrimFunc(s, isSpace)
	if len(s) > maxIntBits || strings.Contains(s, "__") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") {
		return nil, false
	}
	if base != 0 { // big.Int reads them itself
		s = strings.ReplaceAll(s, "_", "")
		lower := strings.ToLower(s)
		for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
			if b == base {
				s = strings.TrimPrefix(lower, prefix)
			}
		}
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s, base)
	if !ok || n.BitLen() > maxIntBits {
		return nil, false
	}
	return normInt(n), true
}

// parseFloat reads a float as Python's float(s) does.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false // Go reads hexadecimal floats, Python does not
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return f, true
}

// truncate returns the integer part of f as int(f) does.
func truncate(f float64) (value, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, false
	}
	n, _ := big.NewFloat(f).Int(nil)
	return normInt(n), true
}
