// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
)

// A message is an entry of a gettext catalog. Strings are in the form that LuCI looks up: \"
// and \\ are resolved, and other escapes stay.
type message struct {
	context, id, plural string
	hasContext          bool
	values              []string
}

// compilePO translates a gettext catalog into LuCI's binary form: the translations, each
// padded to a multiple of four bytes, an index sorted by the hash of the key, and the offset
// of the index.
func compilePO(text string) ([]byte, error) {
	messages, err := parsePO(text)
	if err != nil {
		return nil, err
	}
	type entry struct{ key, plurals, offset, length uint32 }
	var out []byte
	var index []entry
	add := func(key, plurals uint32, value string) {
		index = append(index, entry{key, plurals, uint32(len(out)), uint32(len(value))})
		out = append(out, value...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	for _, m := range messages {
		if m.id == "" {
			if forms, ok := pluralForms(m.values); ok {
				add(0, 0, forms)
			}
			continue
		}
		for i, value := range m.values {
			if value == "" {
				continue
			}
			key := m.id
			if m.hasContext {
				key = m.context + "\x01" + key
			}
			if m.plural != "" {
				key += fmt.Sprintf("\x02%d", i)
			}
			// A translation equal to its key is left out.
			if k := lmoHash(key); k != lmoHash(value) {
				add(k, uint32(len(m.values)), value)
			}
		}
	}
	at := uint32(len(out))
	sort.SliceStable(index, func(i, j int) bool { return index[i].key < index[j].key })
	for _, e := range index {
		for _, n := range []uint32{e.key, e.plurals, e.offset, e.length} {
			out = binary.BigEndian.AppendUint32(out, n)
		}
	}
	return binary.BigEndian.AppendUint32(out, at), nil
}

// pluralForms returns the plural rule from a catalog's header. The lines of the header end
// with a literal \n.
func pluralForms(header []string) (string, bool) {
	if len(header) == 0 {
		return "", false
	}
	for _, line := range strings.Split(header[0], `\n`) {
		if forms, ok := strings.CutPrefix(line, "Plural-Forms: "); ok {
			return forms, true
		}
	}
	return "", false
}

func parsePO(text string) ([]message, error) {
	var messages []message
	var m message
	var current *string
	begun := false // m has an id
	flush := func() {
		if begun && len(m.values) > 0 {
			messages = append(messages, m)
		}
		m, current, begun = message{}, nil, false
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word[0] == '"':
			rest = line
		case word == "msgctxt":
			flush()
			m.hasContext, current = true, &m.context
		case word == "msgid":
			if begun {
				flush()
			}
			begun, current = true, &m.id
		case word == "msgid_plural":
			current = &m.plural
		case word == "msgstr" || strings.HasPrefix(word, "msgstr["):
			m.values = append(m.values, "")
			current = &m.values[len(m.values)-1]
		default:
			return nil, fmt.Errorf("line %d: %q does not begin an entry", i+1, word)
		}
		part, err := unquotePO(rest)
		if err != nil || current == nil {
			return nil, fmt.Errorf("line %d: no string in quotes where there must be one", i+1)
		}
		*current += part
	}
	flush()
	return messages, nil
}

func unquotePO(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", fmt.Errorf("not in quotes: %s", s)
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(s[1 : len(s)-1]), nil
}

// lmoHash is the hash of LuCI's catalogs: Paul Hsieh's SuperFastHash with the length as its
// seed.
func lmoHash(s string) uint32 {
	if s == "" {
		return 0
	}
	signed := func(c byte) uint32 { return uint32(int32(int8(c))) }
	pair := func(i int) uint32 { return uint32(s[i]) | uint32(s[i+1])<<8 }

	hash := uint32(len(s))
	i := 0
	for ; i+4 <= len(s); i += 4 {
		hash += pair(i)
		hash = hash<<16 ^ (pair(i+2)<<11 ^ hash)
		hash += hash >> 11
	}
	switch len(s) - i {
	case 3:
		hash += pair(i)
		hash ^= hash << 16
		hash ^= signed(s[i+2]) << 18
		hash += hash >> 11
	case 2:
		hash += pair(i)
		hash ^= hash << 11
		hash += hash >> 17
	case 1:
		hash += signed(s[i])
		hash ^= hash << 10
		hash += hash >> 1
	}
	hash ^= hash << 3
	hash += hash >> 5
	hash ^= hash << 4
	hash += hash >> 17
	hash ^= hash << 25
	hash += hash >> 6
	return hash
}
