package grammar

import (
	"math/big"
	"strings"
)

// Digits of numbers that no bound asks for more of.
const (
	integerDigits  = 15 // all of them are exact as float64
	fractionDigits = 15
)

func digits(lo, hi byte) *expr {
	return class(runeRange{rune(lo), rune(hi)})
}

var anyDigit = digits('0', '9')

// anyInteger matches an integer.
func anyInteger() *expr {
	return seq(optional(literal("-")), positiveInteger(integerDigits))
}

// positiveInteger matches 0 and up to n digits that do not begin with 0.
func positiveInteger(n int) *expr {
	return alt(literal("0"), seq(digits('1', '9'), repeat(anyDigit, 0, n-1)))
}

// anyNumber matches a number, with an exponent of two digits at most.
func anyNumber() *expr {
	exponent := seq(class(runeRange{'e', 'e'}, runeRange{'E', 'E'}),
		optional(class(runeRange{'+', '+'}, runeRange{'-', '-'})), repeat(anyDigit, 1, 2))
	return seq(anyInteger(), optional(fraction(fractionDigits)), optional(exponent))
}

func fraction(n int) *expr {
	if n == 0 {
		return empty
	}
	return seq(literal("."), repeat(anyDigit, 1, n))
}

// bound is an end of a range of numbers.
type bound struct {
	at       *big.Rat // nil is no bound
	excluded bool
}

// numberRange matches the numbers from low to high without an exponent, and integers alone if whole is set.
func numberRange(low, high bound, whole bool) *expr {
	if whole { // to the nearest integers, which are included
		low, high = integerBound(low, +1), integerBound(high, -1)
	}
	zero := new(big.Rat)
	var list []*expr
	if low.at == nil || low.at.Sign() < 0 { // negative ones, by their magnitudes from above zero
		from, to := bound{at: zero, excluded: true}, bound{}
		if high.at != nil && high.at.Sign() < 0 {
			from = bound{new(big.Rat).Neg(high.at), high.excluded}
		}
		if low.at != nil {
			to = bound{new(big.Rat).Neg(low.at), low.excluded}
		}
		list = append(list, seq(literal("-"), magnitudes(from, to, whole)))
	}
	if high.at == nil || high.at.Sign() >= 0 {
		from := bound{at: zero}
		if low.at != nil && low.at.Sign() >= 0 {
			from = low
		}
		list = append(list, magnitudes(from, high, whole))
	}
	return alt(list...)
}

// integerBound moves a bound to the next integer in a direction, which is included.
func integerBound(b bound, direction int64) bound {
	if b.at == nil {
		return b
	}
	n := new(big.Int).Div(b.at.Num(), b.at.Denom()) // rounded down, since the denominator is positive
	if at := new(big.Rat).SetInt(n); at.Cmp(b.at) != 0 {
		if direction > 0 {
			n.Add(n, big.NewInt(1))
		}
	} else if b.excluded {
		n.Add(n, big.NewInt(direction))
	}
	return bound{at: new(big.Rat).SetInt(n)}
}

// decimal is a number's digits before and behind the point, without a trailing 0.
type decimal struct{ whole, rest string }

// decimalOf returns the digits of a number that is not negative.
func decimalOf(r *big.Rat) decimal {
	n, exact := r.FloatPrec()
	if !exact { // not of a JSON number
		n = maxExponent
	}
	whole, rest, _ := strings.Cut(r.FloatString(n), ".")
	return decimal{whole, strings.TrimRight(rest, "0")}
}

// magnitudes matches the numbers from low, which is there, to high, neither negative.
func magnitudes(low, high bound, whole bool) *expr {
	if high.at != nil {
		if c := low.at.Cmp(high.at); c > 0 || c == 0 && (low.excluded || high.excluded) {
			return never
		}
	}
	r := rangeWriter{low: decimalOf(low.at), lowOpen: low.excluded, highOpen: high.excluded}
	longest := max(integerDigits, len(r.low.whole)+1)
	if high.at != nil {
		r.high, r.bounded = decimalOf(high.at), true
		longest = len(r.high.whole)
	}
	if !whole {
		r.digits = max(fractionDigits, len(r.low.rest)+1, len(r.high.rest)+1)
	}
	var list []*expr
	for n := len(r.low.whole); n <= longest; n++ {
		r.n = n
		list = append(list, r.number(0, n == len(r.low.whole), r.bounded && n == len(r.high.whole)))
		if free := len(r.low.whole) + 1; n == free && longest > n && (!r.bounded || len(r.high.whole) > n) {
			// All lengths between those of the bounds are alike.
			last := longest
			if r.bounded {
				last--
			}
			list = append(list, seq(digits('1', '9'), repeat(anyDigit, n-1, last-1), optional(fraction(r.digits))))
			n = last
		}
	}
	return alt(list...)
}

// rangeWriter writes the numbers between two others whose part before the point has n digits.
type rangeWriter struct {
	low, high         decimal
	lowOpen, highOpen bool
	bounded           bool
	n                 int
	digits            int // that may follow the point
}

// number writes the digits from the i-th on. lowTight and highTight say that those before are the bound's own.
func (r *rangeWriter) number(i int, lowTight, highTight bool) *expr {
	if i == r.n {
		return alt(r.end(0, lowTight, highTight), seq(literal("."), r.rest(0, lowTight, highTight)))
	}
	if !lowTight && !highTight && i > 0 {
		return seq(repeat(anyDigit, r.n-i, r.n-i), optional(fraction(r.digits)))
	}
	first := byte('0')
	if i == 0 && r.n > 1 {
		first = '1'
	}
	return r.digit(first, r.low.whole, r.high.whole, i, lowTight, highTight, func(low, high bool) *expr {
		return r.number(i+1, low, high)
	})
}

// digit writes the i-th digit, which is at least first, and what next gives for each case of what comes then.
func (r *rangeWriter) digit(first byte, low, high string, i int, lowTight, highTight bool,
	next func(low, high bool) *expr,
) *expr {
	lo, hi := first, byte('9')
	if lowTight {
		lo = max(lo, digitAt(low, i))
	}
	if highTight {
		hi = digitAt(high, i)
	}
	var list []*expr
	for lo <= hi {
		last := lo // of the digits that are treated as lo is
		atLow, atHigh := lowTight && lo == digitAt(low, i), highTight && lo == digitAt(high, i)
		if !atLow && !atHigh {
			if last = hi; highTight {
				last = hi - 1
			}
		}
		list = append(list, seq(digits(lo, last), next(atLow, atHigh)))
		if last == '9' {
			break
		}
		lo = last + 1
	}
	return alt(list...)
}

// digitAt returns the i-th digit, 0 behind the last.
func digitAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return '0'
}

// rest writes one digit or more behind the point from the i-th on.
func (r *rangeWriter) rest(i int, lowTight, highTight bool) *expr {
	if i == r.digits {
		return never
	}
	if !lowTight && !highTight {
		return repeat(anyDigit, 1, r.digits-i)
	}
	return r.digit('0', r.low.rest, r.high.rest, i, lowTight, highTight, func(low, high bool) *expr {
		return alt(r.end(i+1, low, high), r.rest(i+1, low, high))
	})
}

// end matches nothing more, if the number may end with i digits behind the point.
func (r *rangeWriter) end(i int, lowTight, highTight bool) *expr {
	if lowTight && (len(r.low.rest) > i || r.lowOpen) {
		return never // it is less than the bound, or the bound itself
	}
	if highTight && len(r.high.rest) <= i && r.highOpen {
		return never
	}
	return empty
}
