package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime formats t with the directives of C's strftime in the C locale, as Python's datetime.now().strftime does.
// %z and %Z are empty, since that time has no zone. A "-" drops the padding of a number. Directives that do not exist
// stay as they are.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		unpadded := format[i] == '-' && i+1 < len(format)
		if unpadded {
			i++
		}
		s, ok := directive(format[i], t)
		switch {
		case !ok:
			s = "%" + format[i:i+1]
			if unpadded {
				s = "%-" + format[i:i+1]
			}
		case unpadded:
			if s = strings.TrimLeft(s, "0 "); s == "" {
				s = "0"
			}
		}
		b.WriteString(s)
	}
	return b.String()
}

// directive formats one directive.
func directive(c byte, t time.Time) (string, bool) {
	hour12 := (t.Hour()+11)%12 + 1
	two := func(n int) (string, bool) { return fmt.Sprintf("%02d", n), true }
	switch c {
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'C':
		return two(t.Year() / 100)
	case 'd':
		return two(t.Day())
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'e':
		return fmt.Sprintf("%2d", t.Day()), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'g':
		year, _ := t.ISOWeek()
		return two(year % 100)
	case 'G':
		year, _ := t.ISOWeek()
		return strconv.Itoa(year), true
	case 'H':
		return two(t.Hour())
	case 'I':
		return two(hour12)
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", hour12), true
	case 'm':
		return two(int(t.Month()))
	case 'M':
		return two(t.Minute())
	case 'n':
		return "\n", true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'R':
		return t.Format("15:04"), true
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'S':
		return two(t.Second())
	case 't':
		return "\t", true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), true
	case 'U': // week of the year, weeks begin on Sunday
		return two((t.YearDay() + 6 - int(t.Weekday())) / 7)
	case 'V':
		_, week := t.ISOWeek()
		return two(week)
	case 'w':
		return strconv.Itoa(int(t.Weekday())), true
	case 'W': // week of the year, weeks begin on Monday
		return two((t.YearDay() + 6 - (int(t.Weekday())+6)%7) / 7)
	case 'y':
		return two(t.Year() % 100)
	case 'Y':
		return strconv.Itoa(t.Year()), true
	case 'z', 'Z':
		return "", true
	case '%':
		return "%", true
	}
	return "", false
}
