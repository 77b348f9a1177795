package dataset

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxNames that braces may stand for.
const maxNames = 100_000

var numberRange = regexp.MustCompile(`^([0-9]{1,9})[.][.]([0-9]{1,9})$`)

// expandBraces is what a shell makes of braces: {a,b} are alternatives, which may have braces again, and {000..146} all
// numbers from the first to the last, with as many digits as the longer of them where one has leading zeros.
func expandBraces(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		if strings.IndexByte(pattern, '}') >= 0 {
			return nil, fmt.Errorf("%q has a } without its {", pattern)
		}
		return []string{pattern}, nil
	}
	parts, length := alternatives(pattern[open+1:])
	if parts == nil {
		return nil, fmt.Errorf("%q has a { without its }", pattern)
	}
	var middle []string
	if numbers, err := numbersOf(parts); err != nil {
		return nil, err
	} else if numbers != nil {
		middle = numbers
	} else {
		for _, part := range parts {
			names, err := expandBraces(part)
			if err != nil {
				return nil, err
			}
			if middle = append(middle, names...); len(middle) > maxNames {
				return nil, fmt.Errorf("%q stands for more than %d names", pattern, maxNames)
			}
		}
	}
	tails, err := expandBraces(pattern[open+1+length:])
	if err != nil {
		return nil, err
	}
	if len(middle)*len(tails) > maxNames {
		return nil, fmt.Errorf("%q stands for more than %d names", pattern, maxNames)
	}
	var all []string
	for _, m := range middle {
		for _, tail := range tails {
			all = append(all, pattern[:open]+m+tail)
		}
	}
	return all, nil
}

// alternatives up to the brace that closes, and the length of it all; nil where none closes.
func alternatives(s string) (parts []string, length int) {
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}':
			return append(parts, s[from:i]), i + 1
		case c == ',' && depth == 0:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return nil, 0
}

// numbersOf a range; nil where it is none.
func numbersOf(parts []string) ([]string, error) {
	match := numberRange.FindStringSubmatch(parts[0])
	if len(parts) != 1 || match == nil {
		return nil, nil
	}
	first, _ := strconv.Atoi(match[1]) // the expression has checked them
	last, _ := strconv.Atoi(match[2])
	if first > last || last-first >= maxNames {
		return nil, fmt.Errorf("{%s} is not of 1 to %d numbers", parts[0], maxNames)
	}
	digits := 0
	if zero := func(s string) bool { return len(s) > 1 && s[0] == '0' }; zero(match[1]) || zero(match[2]) {
		digits = max(len(match[1]), len(match[2]))
	}
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, fmt.Sprintf("%0*d", digits, n))
	}
	return all, nil
}
