// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"errors"
	"maps"
	"slices"
	"strconv"
)

// bencode appends a value in BitTorrent's encoding: strings, []byte, int, []any
// and map[string]any.
func bencode(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		b = strconv.AppendInt(b, int64(len(v)), 10)
		return append(append(b, ':'), v...)
	case []byte:
		return bencode(b, string(v))
	case int:
		b = strconv.AppendInt(append(b, 'i'), int64(v), 10)
		return append(b, 'e')
	case []any:
		b = append(b, 'l')
		for _, e := range v {
			b = bencode(b, e)
		}
		return append(b, 'e')
	case map[string]any:
		b = append(b, 'd')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = bencode(bencode(b, k), v[k])
		}
		return append(b, 'e')
	}
	panic("bencode: a type it has no encoding for")
}

var errBencode = errors.New("bencode: malformed")

// bdecode reads one value: string, int, []any or map[string]any. It ignores what follows.
// It shares no code with the program under test, so that one mistake cannot hide another.
func bdecode(b []byte) (any, error) {
	v, _, err := bvalue(b, 0)
	return v, err
}

func bvalue(b []byte, depth int) (v any, rest []byte, err error) {
	if len(b) < 2 || depth > 8 {
		return nil, nil, errBencode
	}
	switch {
	case b[0] == 'i':
		return bnumber(b[1:], 'e')
	case b[0] == 'l':
		list := []any{}
		for b = b[1:]; len(b) > 0 && b[0] != 'e'; list = append(list, v) {
			if v, b, err = bvalue(b, depth+1); err != nil {
				return nil, nil, err
			}
		}
		return list, bend(b), berr(b)
	case b[0] == 'd':
		dict := map[string]any{}
		for b = b[1:]; len(b) > 0 && b[0] != 'e'; {
			var k string
			if k, b, err = bstring(b); err == nil {
				dict[k], b, err = bvalue(b, depth+1)
			}
			if err != nil {
				return nil, nil, err
			}
		}
		return dict, bend(b), berr(b)
	}
	return bstring(b)
}

func bstring(b []byte) (string, []byte, error) {
	n, rest, err := bnumber(b, ':')
	if err != nil || n < 0 || n > len(rest) {
		return "", nil, errBencode
	}
	return string(rest[:n]), rest[n:], nil
}

func bnumber(b []byte, end byte) (int, []byte, error) {
	i := slices.Index(b, end)
	if i < 0 {
		return 0, nil, errBencode
	}
	n, err := strconv.Atoi(string(b[:i]))
	return n, b[i+1:], err
}

// bend skips the end of a list or dictionary.
func bend(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b[1:]
}

func berr(b []byte) error {
	if len(b) == 0 {
		return errBencode
	}
	return nil
}
