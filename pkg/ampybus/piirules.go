package ampybus

import "strings"

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// edgeBefore reports that a word can begin at i; edgeAfter that one can end
// before i. A dash between digits joins them.
func edgeBefore(s string, i int) bool {
	if i == 0 {
		return true
	}
	return !isAlnum(s[i-1]) && (s[i-1] != '-' || i < 2 || !isDigit(s[i-2]))
}

func edgeAfter(s string, i int) bool {
	if i >= len(s) {
		return true
	}
	return !isAlnum(s[i]) && (s[i] != '-' || i+1 >= len(s) || !isDigit(s[i+1]))
}

// hasEmail finds local@host.tld.
func hasEmail(s string) bool {
	for i := 1; i < len(s); i++ {
		if s[i] != '@' || (!isAlnum(s[i-1]) && !strings.ContainsRune("._%+-", rune(s[i-1]))) {
			continue
		}
		end := i + 1
		for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '.') {
			end++
		}
		host := strings.TrimRight(s[i+1:end], ".-")
		if dot := strings.LastIndexByte(host, '.'); dot > 0 && isTLD(host[dot+1:]) {
			return true
		}
	}
	return false
}

func isTLD(s string) bool {
	for i := range len(s) {
		if isDigit(s[i]) || s[i] == '-' {
			return false
		}
	}
	return len(s) >= 2
}

// matchDigits reports that s holds, from i, groups of digits of these lengths
// with one of the separators between them, and a word's edges around.
func matchDigits(s string, i int, separators string, groups ...int) (end int, ok bool) {
	if !edgeBefore(s, i) {
		return 0, false
	}
	for n, group := range groups {
		if n > 0 {
			if i >= len(s) || strings.IndexByte(separators, s[i]) < 0 {
				return 0, false
			}
			i++
		}
		for range group {
			if i >= len(s) || !isDigit(s[i]) {
				return 0, false
			}
			i++
		}
	}
	return i, edgeAfter(s, i)
}

// hasSSN finds United States social security numbers that can be issued.
func hasSSN(s string) bool {
	for i := 0; i+11 <= len(s); i++ {
		if _, ok := matchDigits(s, i, "-", 3, 2, 4); !ok {
			continue
		}
		area, group, serial := s[i:i+3], s[i+4:i+6], s[i+7:i+11]
		if area != "000" && area != "666" && area[0] != '9' && group != "00" && serial != "0000" {
			return true
		}
	}
	return false
}

// hasPhone finds +491701234567 and 212-555-0123.
func hasPhone(s string) bool {
	for i := range len(s) {
		if _, ok := matchDigits(s, i, "- .", 3, 3, 4); ok {
			return true
		}
		if s[i] != '+' || i > 0 && isAlnum(s[i-1]) {
			continue
		}
		end := i + 1
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if n := end - i - 1; n >= 9 && n <= 19 && edgeAfter(s, end) {
			return true
		}
	}
	return false
}
