// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"strconv"
	"unicode/utf8"
)

// jsonWriter appends JSON to a buffer. It sets the commas; the caller opens and closes
// objects and arrays. Its methods are not inlined: there are about a hundred calls, each
// copy would cost flash, and speed does not matter.
type jsonWriter struct {
	b    []byte
	more bool // the open object or array has a value already
}

//go:noinline
func (w *jsonWriter) comma() {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
}

// open begins an object '{' or an array '['.
//
//go:noinline
func (w *jsonWriter) open(c byte) {
	w.comma()
	w.b = append(w.b, c)
	w.more = false
}

//go:noinline
func (w *jsonWriter) close(c byte) {
	w.b = append(w.b, c)
	w.more = true
}

// key writes a member's name. The value must follow.
//
//go:noinline
func (w *jsonWriter) key(k string) {
	w.comma()
	w.b = AppendString(w.b, k)
	w.b = append(w.b, ':')
	w.more = false
}

//go:noinline
func (w *jsonWriter) str(k, v string) {
	w.key(k)
	w.b = AppendString(w.b, v)
	w.more = true
}

//go:noinline
func (w *jsonWriter) num(k string, v int64) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, v, 10)
	w.more = true
}

//go:noinline
func (w *jsonWriter) uint(k string, v uint64) {
	w.key(k)
	w.b = strconv.AppendUint(w.b, v, 10)
	w.more = true
}

// tenths writes a number with one decimal.
//
//go:noinline
func (w *jsonWriter) tenths(k string, v float64) {
	w.key(k)
	w.b = strconv.AppendFloat(w.b, v, 'f', 1, 64)
	w.more = true
}

//go:noinline
func (w *jsonWriter) bool(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
	w.more = true
}

// list writes an array of strings.
//
//go:noinline
func (w *jsonWriter) list(k string, all []string) {
	w.key(k)
	w.open('[')
	for _, v := range all {
		w.item(v)
	}
	w.close(']')
}

// item writes a string in an array, and itemNum writes a number.
//
//go:noinline
func (w *jsonWriter) item(v string) {
	w.comma()
	w.b = AppendString(w.b, v)
}

//go:noinline
func (w *jsonWriter) itemNum(v uint64) {
	w.comma()
	w.b = strconv.AppendUint(w.b, v, 10)
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
// Characters with a meaning in HTML are escaped, so that no reader takes a name for
// markup.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c == '\n':
			b = append(b, '\\', 'n')
			i++
		case c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}
