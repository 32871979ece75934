// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Names is a list of patterns of DNS names. The zero value matches nothing.
type Names struct{ patterns []string }

// NewNames compiles patterns.
func NewNames(patterns []string) (Names, error) { return Names{patterns}, nil }

// Len returns the number of patterns.
func (n *Names) Len() int { return len(n.patterns) }

// Match reports whether name fits one of the patterns.
func (n *Names) Match(name []byte) bool { return false }
