// SPDX-License-Identifier: GPL-2.0-or-later

package config

import "strings"

// section is one "config TYPE NAME" with its options, not yet interpreted.
type section struct {
	typ, name string
	line      int
	options   []rawOption
}

// rawOption is one option or list as the file has it.
type rawOption struct {
	name   string
	values []string
	list   bool
	line   int
}

// set treats a repeated name as libuci does: the last option wins, and a list is appended to
// the values that are there.
func (s *section) set(o rawOption) {
	for i := range s.options {
		old := &s.options[i]
		if old.name != o.name {
			continue
		}
		if o.list {
			old.values = append(old.values, o.values...)
			old.list = true
		} else {
			*old = o
		}
		return
	}
	s.options = append(s.options, o)
}

// scanner reads UCI syntax as libuci's file.c does. White space separates words. A newline or
// ';' separates commands. An unquoted '#' starts a comment. '...' is taken literally. In
// "..." and bare words, a backslash escapes the next character. A backslash before a newline
// continues the line. Quoted words may hold newlines.
type scanner struct {
	file string
	text string
	pos  int
	line int
	errs Errors
}

func (s *scanner) fail(line int, what, remedy string) {
	s.errs = append(s.errs, &Error{File: s.file, Line: line, What: what, Remedy: remedy})
}

// continued returns the length of the backslash and newline at i, or 0.
func (s *scanner) continued(i int) int {
	if strings.HasPrefix(s.text[i:], "\\\n") {
		return 2
	}
	if strings.HasPrefix(s.text[i:], "\\\r\n") {
		return 3
	}
	return 0
}

// space skips white space within a command.
func (s *scanner) space() {
	for s.pos < len(s.text) {
		if n := s.continued(s.pos); n > 0 {
			s.pos += n
			s.line++
			continue
		}
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\v', '\f':
			s.pos++
		default:
			return
		}
	}
}

// atEnd reports whether the command is over: at the end of the line or the text,
// at a ';' or at a comment.
func (s *scanner) atEnd() bool {
	if s.pos >= len(s.text) {
		return true
	}
	c := s.text[s.pos]
	return c == '\n' || c == ';' || c == '#'
}

// skipLine moves behind the next newline.
func (s *scanner) skipLine() {
	i := strings.IndexByte(s.text[s.pos:], '\n')
	if i < 0 {
		s.pos = len(s.text)
		return
	}
	s.pos += i + 1
	s.line++
}

// word reads one argument. If ok is false, the command has no more arguments, or a quote is
// not closed. word reports an open quote as a fault.
func (s *scanner) word() (w string, ok bool) {
	s.space()
	if s.atEnd() {
		return "", false
	}
	var b strings.Builder
	for s.pos < len(s.text) {
		if n := s.continued(s.pos); n > 0 {
			s.pos += n
			s.line++
			continue
		}
		switch c := s.text[s.pos]; c {
		case '\'', '"':
			if !s.quoted(&b, c) {
				return "", false
			}
		case '#', ';', ' ', '\t', '\r', '\v', '\f', '\n':
			return b.String(), true
		case '\\':
			s.pos++
			if s.pos < len(s.text) {
				b.WriteByte(s.text[s.pos])
				s.pos++
			}
		default:
			b.WriteByte(c)
			s.pos++
		}
	}
	return b.String(), true
}

// quoted reads the text up to the closing quote q.
func (s *scanner) quoted(b *strings.Builder, q byte) bool {
	start := s.line
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		if c == q {
			s.pos++
			return true
		}
		if q == '"' && c == '\\' {
			if n := s.continued(s.pos); n > 0 {
				s.pos += n - 1
				s.line++
				continue
			}
			if s.pos+1 < len(s.text) {
				s.pos++
				c = s.text[s.pos]
			}
		}
		if c == '\n' {
			s.line++
		}
		b.WriteByte(c)
	}
	s.fail(start, "a quote that is opened here is never closed", "add the closing "+string(q))
	return false
}

// sections reads the whole text. It reports a command that it cannot read and goes on with
// the next, so that it finds all faults.
func (s *scanner) sections() []*section {
	var out []*section
	for s.pos < len(s.text) {
		s.space()
		if s.pos >= len(s.text) {
			break
		}
		switch s.text[s.pos] {
		case '\n', '#':
			s.skipLine()
			continue
		case ';':
			s.pos++
			continue
		}
		line := s.line
		faults := len(s.errs)
		args := s.command()
		if len(s.errs) > faults || len(args) == 0 {
			continue
		}
		out = s.apply(out, args, line)
	}
	return out
}

// command reads the words up to the end of the command.
func (s *scanner) command() []string {
	var args []string
	for {
		w, ok := s.word()
		if !ok {
			return args
		}
		args = append(args, w)
	}
}

// apply carries out one command on the sections read so far.
func (s *scanner) apply(out []*section, args []string, line int) []*section {
	n := len(args) - 1
	switch args[0] {
	case "package", "p":
		if n != 1 {
			s.fail(line, "\"package\" takes one name", "remove the line, it is not needed")
		}
	case "config", "c":
		switch {
		case n < 1 || n > 2:
			s.fail(line, "\"config\" takes a type and a name", "write: config p2pwall 'main'")
		case n == 2 && args[2] != "" && !validName(args[2]):
			s.fail(line, "the section name "+quote(args[2])+" has a character that UCI does not allow",
				"use letters, digits and _ only")
		default:
			sec := &section{typ: args[1], line: line}
			if n == 2 {
				sec.name = args[2]
			}
			return s.open(out, sec)
		}
		// The options that follow belong to the section that could not be read. Without this
		// entry they would be added to the section before.
		return append(out, &section{line: line})
	case "option", "o", "list", "l":
		list := args[0][0] == 'l'
		switch {
		case len(out) == 0:
			s.fail(line, "an option before the first section", "put it below a line such as: config p2pwall 'main'")
		case n < 1 || n > 2:
			s.fail(line, quote(args[0])+" takes a name and one value", "put the value in quotes: option name 'value'")
		case !validName(args[1]):
			s.fail(line, "the option name "+quote(args[1])+" has a character that UCI does not allow",
				"use letters, digits and _ only")
		default:
			o := rawOption{name: args[1], list: list, line: line}
			v := ""
			if n == 2 {
				v = args[2]
			}
			o.values = []string{v}
			out[len(out)-1].set(o)
		}
	default:
		s.fail(line, "unknown command "+quote(args[0]), "a line starts with config, option, list or #")
	}
	return out
}

// open starts a section, or continues the one of the same name.
func (s *scanner) open(out []*section, sec *section) []*section {
	if sec.name != "" {
		for i, old := range out {
			if old.name != sec.name {
				continue
			}
			if old.typ != sec.typ {
				s.fail(sec.line, "the section "+quote(sec.name)+" was of the type "+quote(old.typ)+" before",
					"give one of the two another name")
				break
			}
			copy(out[i:], out[i+1:])
			out[len(out)-1] = old
			return out
		}
	}
	return append(out, sec)
}

// validName reports whether libuci takes s as the name of a section or option.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}
