// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A layout has the differences between the tables of Go's versions: the indexes of two words
// in runtime.moduledata.
type layout struct {
	funcdata int // gofunc
	end      int // epclntab
}

// layouts has the versions of Go whose tables are known. To add one, compare Go's sources
// runtime/symtab.go (pcHeader, moduledata), runtime/runtime2.go (_func) and
// internal/abi/symtab.go, and run the tests with that version.
var layouts = map[string]layout{
	"go1.26": {funcdata: 40, end: 41},
	"go1.27": {funcdata: 43, end: 44},
}

// layoutOf returns the layout for a version of Go, in Go's own form: a release ("go1.26.8"),
// or a release with experiments ("go1.26.8-X:name"). Unreleased versions are refused, because
// their tables may still change.
func layoutOf(version string) (layout, error) {
	if m := releaseVersion.FindStringSubmatch(version); m != nil {
		if l, ok := layouts[m[1]]; ok {
			return l, nil
		}
	}
	known := slices.Sorted(maps.Keys(layouts))
	return layout{}, fmt.Errorf("it was built by %s, and only the tables of %s are known", version, strings.Join(known, " and "))
}

var releaseVersion = regexp.MustCompile(`^(go1\.\d+)(\.\d+)?(-X:.*)?$`)

const (
	magicPclntab = 0xfffffff1 // of pcHeader, Go 1.20 and later

	wordsHeader = 10 // of pcHeader, on 32 bits
	sizeFunc    = 44 // bytes of _func before its two lists
	sizeCall    = 16 // bytes of a call in a tree of inlined calls

	pcdataInlTree = 2 // index in the tree of the call that an instruction belongs to
	pcdataArgLive = 3 // only crash reports read it

	funcdataInlTree = 3 // the tree of inlined calls
	funcdataArgInfo = 5 // only crash reports or the tracer read it and those after it

	noFuncdata = ^uint32(0)
)

// The words of a _func that lean reads or changes.
const (
	funcName      = 1
	funcSP        = 4
	funcFile      = 5
	funcLine      = 6
	funcPCData    = 7 // count
	funcUnit      = 8
	funcStartLine = 9

	funcFuncdata = 43 // count; a byte, not a word
)

// A pclntab is Go's table of functions and program counters, split into its parts, in their
// order. The lists of source files are between names and pctab.
type pclntab struct {
	order    binary.ByteOrder
	header   []byte
	names    []byte // texts that end with a zero byte
	pctab    []byte // sequences of pairs: change of value, change of pc
	funcs    []byte // the index, pairs of entry and offset, then the _funcs
	funcdata []byte // stack maps, records of objects, trees of inlined calls
	find     []byte // buckets of the index
	count    int    // number of functions
}

// sequence returns the pairs that start at an offset of pctab, with the end mark.
func (t *pclntab) sequence(at uint32) ([]byte, error) {
	rest := t.pctab[min(int(at), len(t.pctab)):]
	for n := 0; ; {
		_, value := binary.Uvarint(rest[n:])
		if value <= 0 {
			return nil, fmt.Errorf("the sequence at %d of pctab has no end", at)
		}
		if n > 0 && value == 1 && rest[n] == 0 {
			return rest[:n+1], nil
		}
		_, pc := binary.Uvarint(rest[n+value:])
		if pc <= 0 {
			return nil, fmt.Errorf("the sequence at %d of pctab has no end", at)
		}
		n += value + pc
	}
}

// highest returns the highest value of a sequence. Its values start at -1.
func highest(sequence []byte) int {
	value, most := -1, -1
	for n := 0; n < len(sequence)-1; {
		change, size := binary.Uvarint(sequence[n:])
		n += size
		_, size = binary.Uvarint(sequence[n:])
		n += size
		value += int(int32(change>>1) ^ -int32(change&1)) // zigzag
		most = max(most, value)
	}
	return most
}

// name returns the name at an offset.
func (t *pclntab) name(at uint32) (string, error) {
	rest := t.names[min(int(at), len(t.names)):]
	end := bytes.IndexByte(rest, 0)
	if end < 0 {
		return "", fmt.Errorf("the name at %d has no end", at)
	}
	return string(rest[:end]), nil
}

// A function is a _func with its two lists: offsets in pctab (0 for none) and offsets in
// funcdata.
type function struct {
	fixed    []byte
	pcdata   []uint32
	funcdata []uint32
}

// functions returns copies of all functions.
func (t *pclntab) functions() ([]function, error) {
	all := make([]function, t.count)
	for i := range all {
		f := &all[i]
		at := int(t.order.Uint32(t.funcs[8*i+4:]))
		if at+sizeFunc > len(t.funcs) {
			return nil, fmt.Errorf("function %d of %d lies outside", i, t.count)
		}
		f.fixed = bytes.Clone(t.funcs[at : at+sizeFunc])
		at += sizeFunc
		pcdata, funcdata := int(t.order.Uint32(f.fixed[4*funcPCData:])), int(f.fixed[funcFuncdata])
		if at+4*(pcdata+funcdata) > len(t.funcs) {
			return nil, fmt.Errorf("function %d of %d lies outside", i, t.count)
		}
		for ; len(f.pcdata) < pcdata; at += 4 {
			f.pcdata = append(f.pcdata, t.order.Uint32(t.funcs[at:]))
		}
		for ; len(f.funcdata) < funcdata; at += 4 {
			data := t.order.Uint32(t.funcs[at:])
			if data != noFuncdata && data >= uint32(len(t.funcdata)) {
				return nil, fmt.Errorf("data of function %d of %d lies outside", i, t.count)
			}
			f.funcdata = append(f.funcdata, data)
		}
	}
	return all, nil
}
