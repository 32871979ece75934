// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"errors"
	"strings"
)

// Minify removes comments and white space from JavaScript by the rules of jsmin, the
// minifier in LuCI's build. A newline stays where a statement may end. jsmin knows no
// grammar: it guesses whether a slash begins a regular expression, and a view must not be
// broken by that.
func Minify(src string) (string, error) {
	m := minifier{src: strings.ReplaceAll(src, "\r", "\n"), a: '\n'}
	err := m.run()
	return strings.TrimPrefix(m.out.String(), "\n"), err
}

type minifier struct {
	src  string
	pos  int
	out  strings.Builder
	a, b byte // the character to write, and the one after it; 0 means the end
	x, y byte // the last two that were read
}

var errUnclosed = errors.New("a comment, a string or a regular expression does not end")

// next returns the next character; control characters count as blanks.
func (m *minifier) next() byte {
	if m.pos >= len(m.src) {
		return 0
	}
	c := m.src[m.pos]
	m.pos++
	if c < ' ' && c != '\n' {
		return ' '
	}
	return c
}

func (m *minifier) peek() byte {
	if m.pos >= len(m.src) {
		return 0
	}
	if c := m.src[m.pos]; c >= ' ' || c == '\n' {
		return c
	}
	return ' '
}

// code returns the next character that is not in a comment.
func (m *minifier) code() (byte, error) {
	c := m.next()
	if c == '/' {
		switch m.peek() {
		case '/':
			for c > '\n' {
				c = m.next()
			}
		case '*':
			m.next()
			end := strings.Index(m.src[m.pos:], "*/")
			if end < 0 {
				return 0, errUnclosed
			}
			m.pos += end + 2
			c = ' '
		}
	}
	m.y, m.x = m.x, c
	return c, nil
}

// advance reads a new b.
func (m *minifier) advance() (err error) {
	if m.b, err = m.code(); err != nil {
		return err
	}
	if m.b == '/' && isOneOf(m.a, "(,=:[!&|?+-~*/{};") {
		return m.regexp()
	}
	return nil
}

// regexp copies a regular expression. b is its first slash, a the character before it.
func (m *minifier) regexp() error {
	m.out.WriteByte(m.a)
	if m.a == '/' || m.a == '*' {
		m.out.WriteByte(' ')
	}
	m.out.WriteByte(m.b)
	class := false
	for {
		m.a = m.next()
		if m.a == '/' && !class {
			if isOneOf(m.peek(), "/*") {
				return errUnclosed
			}
			break
		}
		switch m.a {
		case 0:
			return errUnclosed
		case '[':
			class = true
		case ']':
			class = false
		case '\\':
			m.out.WriteByte(m.a)
			m.a = m.next()
		}
		m.out.WriteByte(m.a)
	}
	var err error
	m.b, err = m.code()
	return err
}

// move makes b the new a and reads a new b. It copies a string unchanged.
func (m *minifier) move() error {
	m.a = m.b
	if m.a == '\'' || m.a == '"' || m.a == '`' {
		for quote := m.a; ; {
			m.out.WriteByte(m.a)
			m.a = m.next()
			if m.a == quote {
				break
			}
			if m.a == '\\' {
				m.out.WriteByte(m.a)
				m.a = m.next()
			}
			if m.a == 0 {
				return errUnclosed
			}
		}
	}
	return m.advance()
}

// write writes a and moves on.
func (m *minifier) write() error {
	m.out.WriteByte(m.a)
	// A blank between two operator signs stays.
	if (m.y == '\n' || m.y == ' ') && isOneOf(m.a, "+-*/") && isOneOf(m.b, "+-*/") {
		m.out.WriteByte(m.y)
	}
	return m.move()
}

func (m *minifier) run() error {
	if err := m.advance(); err != nil {
		return err
	}
	for m.a != 0 {
		var err error
		switch {
		case m.a == ' ' && isWord(m.b):
			err = m.write()
		case m.a == ' ':
			err = m.move()
		case m.a == '\n' && m.b == ' ':
			err = m.advance()
		case m.a == '\n' && (isOneOf(m.b, "{[(+-!~") || isWord(m.b)):
			err = m.write()
		case m.a == '\n':
			err = m.move()
		case m.b == ' ' && !isWord(m.a):
			err = m.advance()
		case m.b == '\n' && !isWord(m.a) && !isOneOf(m.a, "}])+-\"'`"):
			err = m.advance()
		default:
			err = m.write()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isOneOf(c, "_$\\") || c > 126
}

func isOneOf(c byte, set string) bool { return c != 0 && strings.IndexByte(set, c) >= 0 }
