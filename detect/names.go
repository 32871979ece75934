// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "fmt"

// MaxNames is how many patterns a list of names can have.
const MaxNames = 128

// maxNameText is the longest DNS name, as text.
const maxNameText = 253

// Names is a list of patterns for DNS names. "tracker.example.org" matches only that
// name. "*.example.org" matches every name below, but not example.org itself. The zero
// value matches nothing.
type Names struct{ patterns []namePattern }

type namePattern struct {
	name  string // in lower case; begins with a dot if below
	below bool
}

// NewNames compiles patterns.
func NewNames(patterns []string) (Names, error) {
	if len(patterns) > MaxNames {
		return Names{}, fmt.Errorf("%d names, at most %d are possible: use patterns such as *.example.org", len(patterns), MaxNames)
	}
	n := Names{make([]namePattern, 0, len(patterns))}
	for _, text := range patterns {
		p, wrong := compileName(text)
		if wrong != "" {
			return Names{}, fmt.Errorf("name %.80q: %s; write tracker.example.org, or *.example.org for all below", text, wrong)
		}
		n.patterns = append(n.patterns, p)
	}
	return n, nil
}

func compileName(text string) (p namePattern, wrong string) {
	name := text
	if len(name) > 2 && name[:2] == "*." {
		p.below = true
		name = name[2:]
	}
	if len(name) > 1 && name[len(name)-1] == '.' { // the root's dot
		name = name[:len(name)-1]
	}
	if name == "" {
		return p, "it is empty"
	}
	if len(text) > maxNameText {
		return p, fmt.Sprintf("it has %d characters, %d are possible", len(text), maxNameText)
	}
	low := make([]byte, 0, len(name)+1)
	if p.below {
		low = append(low, '.')
	}
	label := 0
	for i := range len(name) {
		c := lower(name[i])
		switch {
		case c == '.' && label == 0:
			return p, "a label is empty"
		case c == '.':
			label = -1
		case c == '*':
			return p, "a * may only be the whole first label"
		case !isAlnum(c) && c != '-' && c != '_':
			return p, fmt.Sprintf("%q is not possible in a name", string(rune(c)))
		}
		if label++; label > 63 {
			return p, "a label has more than 63 characters"
		}
		low = append(low, c)
	}
	if label == 0 {
		return p, "a label is empty"
	}
	p.name = string(low)
	return p, ""
}

// Len returns the number of patterns.
func (n *Names) Len() int { return len(n.patterns) }

// NameFilter tells of most names at once that no pattern of several lists matches them. The
// zero value has no patterns.
type NameFilter struct {
	_   [0]func() // not comparable: code to compare it costs flash
	may [256]bool // by a hash of the name's end
	all bool      // a pattern is too short for that
}

// nameEnd is how many bytes of a name's end are compared.
const nameEnd = 8

// Add adds the patterns of a list.
func (f *NameFilter) Add(n *Names) {
	for i := range n.patterns {
		f.may[endHash([]byte(n.patterns[i].name))] = true
		f.all = f.all || len(n.patterns[i].name) < nameEnd
	}
}

// May reports whether one of the patterns may match the name.
func (f *NameFilter) May(name []byte) bool { return f.all || f.may[endHash(name)] }

//go:noinline
func endHash(name []byte) (h uint8) {
	for _, c := range name[max(0, len(name)-nameEnd):] {
		h = h*31 + (c | 0x20) // the same for both cases
	}
	return h
}

// Match reports whether name, without a dot at its end, matches one of the patterns. Case
// does not matter.
func (n *Names) Match(name []byte) bool {
	for i := range n.patterns {
		p := &n.patterns[i]
		rest := len(name) - len(p.name)
		if rest < 0 || p.below == (rest == 0) || lower(name[rest]) != p.name[0] {
			continue
		}
		if hasPrefixFold(name[rest:], p.name) {
			return true
		}
	}
	return false
}
