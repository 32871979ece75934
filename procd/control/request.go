// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Request is one line on the control socket: a flat JSON object.
type Request struct {
	Cmd     string
	Host    string
	Seconds int64
	Since   uint64
	// Text asks for {"text": ...}, a reply for people.
	Text bool
}

// maxRequest is the longest request in bytes.
const maxRequest = 4096

// ParseRequest reads a request. An unknown member is an error: otherwise a misspelt
// member would silently mean its default.
func ParseRequest(line []byte) (Request, error) {
	var r Request
	p := jsonReader{b: line}
	err := p.object(func(name string) error {
		var err error
		switch name {
		case "cmd":
			r.Cmd, err = p.str()
		case "host":
			r.Host, err = p.str()
		case "seconds":
			r.Seconds, err = p.num()
			if err == nil && r.Seconds < 0 {
				err = errors.New("seconds must not be negative")
			}
		case "since":
			var n int64
			n, err = p.num()
			if err == nil && n < 0 {
				err = errors.New("since must not be negative")
			}
			r.Since = uint64(n)
		case "text":
			r.Text, err = p.bool()
		default:
			err = fmt.Errorf("unknown member %q, use cmd, host, seconds, since or text", name)
		}
		return err
	})
	if err == nil && r.Cmd == "" {
		err = errors.New("no cmd, send an object such as {\"cmd\":\"status\"}")
	}
	return r, err
}

// AppendRequest appends the request as a line.
func AppendRequest(b []byte, r Request) []byte {
	w := jsonWriter{b: b}
	w.open('{')
	w.str("cmd", r.Cmd)
	if r.Host != "" {
		w.str("host", r.Host)
	}
	if r.Seconds != 0 {
		w.num("seconds", r.Seconds)
	}
	if r.Since != 0 {
		w.uint("since", r.Since)
	}
	if r.Text {
		w.bool("text", true)
	}
	w.close('}')
	return append(w.b, '\n')
}

// ParseText reads the reply to a request with Text set. It returns the text or the error
// of the reply.
func ParseText(line []byte) (string, error) {
	p := jsonReader{b: line}
	var text, fault string
	err := p.object(func(name string) error {
		var err error
		switch name {
		case "text":
			text, err = p.str()
		case "error":
			fault, err = p.str()
		default:
			err = fmt.Errorf("unexpected %q in the reply: is the daemon of another version?", name)
		}
		return err
	})
	if err == nil && fault != "" {
		err = errors.New(fault)
	}
	return text, err
}

// jsonReader reads the part of JSON that requests may use.
type jsonReader struct {
	b []byte
	i int
}

var errJSON = errors.New("not a JSON object on one line")

func (p *jsonReader) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t' || p.b[p.i] == '\r' || p.b[p.i] == '\n') {
		p.i++
	}
}

func (p *jsonReader) take(c byte) bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// object calls member with the name of each member; member must read the value.
func (p *jsonReader) object(member func(name string) error) error {
	if !p.take('{') {
		return errJSON
	}
	if !p.take('}') {
		for {
			name, err := p.str()
			if err != nil {
				return err
			}
			if !p.take(':') {
				return errJSON
			}
			if err := member(name); err != nil {
				return err
			}
			if p.take('}') {
				break
			}
			if !p.take(',') {
				return errJSON
			}
		}
	}
	p.space()
	if p.i != len(p.b) {
		return errJSON
	}
	return nil
}

func (p *jsonReader) num() (int64, error) {
	p.space()
	start := p.i
	for p.i < len(p.b) && (p.b[p.i] == '-' || p.b[p.i] >= '0' && p.b[p.i] <= '9') {
		p.i++
	}
	text := string(p.b[start:p.i])
	n, err := strconv.ParseInt(text, 10, 64)
	digits := strings.TrimPrefix(text, "-")
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return 0, errors.New("a whole number was expected")
	}
	return n, nil
}

func (p *jsonReader) bool() (bool, error) {
	p.space()
	for _, v := range []string{"true", "false"} {
		if strings.HasPrefix(string(p.b[p.i:]), v) {
			p.i += len(v)
			return v == "true", nil
		}
	}
	return false, errors.New("true or false was expected")
}

func (p *jsonReader) str() (string, error) {
	if !p.take('"') {
		return "", errors.New("a string was expected")
	}
	var out []byte
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch {
		case c == '"':
			return string([]rune(string(out))), nil // bytes that are not UTF-8 become U+FFFD
		case c < 0x20:
			return "", errJSON
		case c != '\\':
			out = append(out, c)
			continue
		}
		if p.i == len(p.b) {
			break
		}
		c = p.b[p.i]
		p.i++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := p.unit()
			if !ok {
				return "", errJSON
			}
			// Two surrogates make one character. AppendRune replaces a single one by
			// U+FFFD.
			if utf16.IsSurrogate(r) && p.i+1 < len(p.b) && p.b[p.i] == '\\' && p.b[p.i+1] == 'u' {
				before := p.i
				p.i += 2
				low, _ := p.unit()
				if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
					r = both
				} else {
					p.i = before
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", errJSON
		}
	}
	return "", errJSON
}

// unit reads the four hex digits of a \u escape.
func (p *jsonReader) unit() (rune, bool) {
	if p.i+4 > len(p.b) {
		p.i = len(p.b)
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.b[p.i:p.i+4]), 16, 16)
	p.i += 4
	return rune(n), err == nil
}
