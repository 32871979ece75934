// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strconv"
	"strings"
)

// Error is one fault of a configuration file.
type Error struct {
	File   string
	Line   int    // 0 when the fault belongs to no line
	What   string // what is wrong
	Remedy string // what to do
}

// Error returns "file:line: what, what to do".
func (e *Error) Error() string {
	s := e.File + ": "
	if e.Line > 0 {
		s = e.File + ":" + strconv.Itoa(e.Line) + ": "
	}
	s += e.What
	if e.Remedy != "" {
		s += ", " + e.Remedy
	}
	return s
}

// Errors are all faults of a configuration file, in the order of its lines. A user who
// edits the file wants to see all of them at once.
type Errors []*Error

// Error returns one line for each fault.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, x := range e {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the single faults, for errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, x := range e {
		out[i] = x
	}
	return out
}

// sorted orders the faults by line and returns nil when there are none, so that
// the result can be returned as an error.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	// There are few faults, nearly in order. The sort of package slices has 3 KB of code.
	for i := range e {
		for j := i; j > 0 && e[j-1].Line > e[j].Line; j-- {
			e[j-1], e[j] = e[j], e[j-1]
		}
	}
	return e
}
