package ampybus

import "time"

// timeSeconds is the length of a time up to its seconds.
const timeSeconds = len("2025-09-05T19:31:01")

// parseTime reads RFC 3339 in UTC with up to nine digits of a fraction. zulu is
// false when the zone is written +00:00, as Python peers of ampy-bus 1.x do.
func parseTime(s string) (t time.Time, zulu bool, problem string) {
	const shape = "not RFC 3339, such as 2025-09-05T19:31:01Z"
	if len(s) <= timeSeconds || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return t, false, shape
	}
	var part [6]int
	for i, at := range [6][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		var ok bool
		if part[i], ok = digits(s[at[0]:at[1]]); !ok {
			return t, false, shape
		}
	}
	rest := s[timeSeconds:]
	nanos, rest, ok := fraction(rest)
	if !ok {
		return t, false, shape
	}
	if rest != "Z" && rest != "+00:00" && rest != "-00:00" {
		return t, false, "not in UTC"
	}
	t = time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], nanos, time.UTC)
	// A part that is too large carries into the next larger one.
	if part[0] == 0 || t.Month() != time.Month(part[1]) || t.Hour() != part[3] || t.Minute() != part[4] {
		return time.Time{}, false, "no such date or time"
	}
	if t.IsZero() {
		return t, false, "the zero time, which means none"
	}
	return t, rest == "Z", ""
}

// timeMemo remembers a second: many records are of the same.
type timeMemo struct {
	text string // up to the seconds
	unix int64
}

// read reads a time as the contract wants it, in UTC and with a Z.
func (m *timeMemo) read(s string) (t time.Time, ok bool) {
	if n := len(m.text); n > 0 && len(s) > n && s[:n] == m.text {
		nanos, rest, ok := fraction(s[n:])
		t = time.Unix(m.unix, int64(nanos)).UTC()
		return t, ok && rest == "Z" && !t.IsZero()
	}
	t, zulu, problem := parseTime(s)
	if ok = zulu && problem == ""; ok {
		m.text, m.unix = s[:timeSeconds], t.Unix()
	}
	return t, ok
}

// fraction reads an optional fraction of a second.
func fraction(s string) (nanos int, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	end := 1
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	if end == 1 || end > 10 {
		return 0, s, false
	}
	nanos, _ = digits(s[1:end])
	for range 10 - end {
		nanos *= 10
	}
	return nanos, s[end:], true
}

// digits reads at most nine decimal digits.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, s != ""
}

// appendTime writes RFC 3339 in UTC, without trailing zeros of the fraction.
func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.RFC3339Nano) }
