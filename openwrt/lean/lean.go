// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// withoutLines removes from a 32-bit program the data that only a crash report reads. Go's
// function table is more than a quarter of such a program. The garbage collector needs its
// frame sizes and stack maps. All else is removed: source files and lines, the positions of
// arguments, and long type names. Crash reports then have function names and offsets, and
// linesOf translates those.
//
// It returns an error and no program if anything is not as it expects.
func withoutLines(exe []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(exe))
	if err != nil {
		return nil, err
	}
	layout, err := layoutOf(info.GoVersion)
	if err != nil {
		return nil, err
	}
	p, err := openExecutable(exe, layout)
	if err != nil {
		return nil, err
	}
	t, err := p.table()
	if err != nil {
		return nil, err
	}
	lean, err := t.lean()
	if err != nil {
		return nil, err
	}
	return p.replace(lean)
}

// A leaner copies a table without the parts that are not needed.
type leaner struct {
	from, to *pclntab

	names     map[string]uint32 // offset in to, by name
	sequences map[string]uint32
	funcdata  map[uint32]uint32 // offset in to, by offset in from
}

// lean returns the table with only function names and the data that a program needs until it
// crashes.
func (t *pclntab) lean() (*pclntab, error) {
	functions, err := t.functions()
	if err != nil {
		return nil, err
	}
	l := leaner{
		from: t,
		to: &pclntab{
			order:  t.order,
			header: t.header,
			pctab:  []byte{0}, // offset 0 means no sequence
			funcs:  make([]byte, 8*t.count+4),
			find:   t.find,
			count:  t.count,
		},
		names:     map[string]uint32{},
		sequences: map[string]uint32{},
		funcdata:  map[uint32]uint32{},
	}
	l.copyFuncdata(functions)
	for i := range functions {
		if err := l.copyFunction(i, &functions[i]); err != nil {
			return nil, err
		}
	}
	end := t.funcs[8*t.count:][:4] // end of the text
	copy(l.to.funcs[8*t.count:], end)
	return l.to, l.shortenCalls(functions)
}

// forget removes from a function the data that only a crash report reads.
func (f *function) forget(order binary.ByteOrder) {
	for _, word := range []int{funcFile, funcLine, funcUnit, funcStartLine} {
		order.PutUint32(f.fixed[4*word:], 0)
	}
	if len(f.pcdata) > pcdataArgLive {
		f.pcdata[pcdataArgLive] = 0
	}
	for n := len(f.pcdata); n > 0 && f.pcdata[n-1] == 0; n-- {
		f.pcdata = f.pcdata[:n-1]
	}
	f.funcdata = f.funcdata[:min(len(f.funcdata), funcdataArgInfo)]
	for n := len(f.funcdata); n > 0 && f.funcdata[n-1] == noFuncdata; n-- {
		f.funcdata = f.funcdata[:n-1]
	}
	order.PutUint32(f.fixed[4*funcPCData:], uint32(len(f.pcdata)))
	f.fixed[funcFuncdata] = byte(len(f.funcdata))
}

// copyFuncdata calls forget for all functions and copies the data that they still have.
func (l *leaner) copyFuncdata(functions []function) {
	// The data has no length. It ends where the next data starts, and that may be data that
	// is not copied. Alignment survives, because the linker puts the data with the largest
	// alignment first.
	var begins []uint32
	kept := map[uint32]bool{}
	for i := range functions {
		f := &functions[i]
		begins = append(begins, f.funcdata...)
		f.forget(l.from.order)
		for _, at := range f.funcdata {
			kept[at] = true
		}
	}
	begins = append(begins, uint32(len(l.from.funcdata)))
	slices.Sort(begins)
	begins = slices.DeleteFunc(slices.Compact(begins), func(at uint32) bool { return at == noFuncdata })
	for i, at := range begins[:len(begins)-1] {
		if !kept[at] {
			continue
		}
		l.funcdata[at] = uint32(len(l.to.funcdata))
		l.to.funcdata = append(l.to.funcdata, l.from.funcdata[at:begins[i+1]]...)
	}
}

// copyFunction copies a function and its entry in the index.
func (l *leaner) copyFunction(i int, f *function) error {
	order, to := l.from.order, l.to
	if err := l.copyName(f.fixed[4*funcName:]); err != nil {
		return err
	}
	sp, err := l.copySequence(order.Uint32(f.fixed[4*funcSP:]))
	if err != nil {
		return err
	}
	order.PutUint32(f.fixed[4*funcSP:], sp)
	entry := l.from.funcs[8*i:][:4]
	copy(to.funcs[8*i:], entry)
	order.PutUint32(to.funcs[8*i+4:], uint32(len(to.funcs)))
	to.funcs = append(to.funcs, f.fixed...)
	for _, at := range f.pcdata {
		if at, err = l.copySequence(at); err != nil {
			return err
		}
		to.funcs = appendWord(to.funcs, order, at)
	}
	for _, at := range f.funcdata {
		if at != noFuncdata {
			at = l.funcdata[at]
		}
		to.funcs = appendWord(to.funcs, order, at)
	}
	return nil
}

func appendWord(b []byte, order binary.ByteOrder, v uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	order.PutUint32(b[len(b)-4:], v)
	return b
}

// copySequence copies the sequence at an offset and returns its new offset.
func (l *leaner) copySequence(at uint32) (uint32, error) {
	if at == 0 {
		return 0, nil
	}
	sequence, err := l.from.sequence(at)
	if err != nil {
		return 0, err
	}
	to, ok := l.sequences[string(sequence)]
	if !ok {
		to = uint32(len(l.to.pctab))
		l.sequences[string(sequence)] = to
		l.to.pctab = append(l.to.pctab, sequence...)
	}
	return to, nil
}

// copyName shortens and copies the name whose offset is in word, and writes the new offset
// into word.
func (l *leaner) copyName(word []byte) error {
	name, err := l.from.name(l.from.order.Uint32(word))
	if err != nil {
		return err
	}
	name = shortName(name)
	to, ok := l.names[name]
	if !ok {
		to = uint32(len(l.to.names))
		l.names[name] = to
		l.to.names = append(append(l.to.names, name...), 0)
	}
	l.from.order.PutUint32(word, to)
	return nil
}

// shortenCalls shortens the names in the trees of inlined calls and sets the lines to zero.
// They are the second and the fourth word of each call.
func (l *leaner) shortenCalls(functions []function) error {
	done := map[uint32]bool{}
	for _, f := range functions {
		if len(f.funcdata) <= funcdataInlTree || f.funcdata[funcdataInlTree] == noFuncdata || len(f.pcdata) <= pcdataInlTree {
			continue
		}
		tree := l.funcdata[f.funcdata[funcdataInlTree]]
		if done[tree] {
			continue
		}
		done[tree] = true
		calls, err := l.from.sequence(f.pcdata[pcdataInlTree])
		if err != nil {
			return err
		}
		for i := range highest(calls) + 1 {
			at := int(tree) + sizeCall*i
			if at+sizeCall > len(l.to.funcdata) {
				return errors.New("a tree of inlined calls lies outside")
			}
			if err := l.copyName(l.to.funcdata[at+4 : at+8]); err != nil {
				return err
			}
			clear(l.to.funcdata[at+12 : at+16])
		}
	}
	return nil
}

// shortName shortens the name of a function. It removes three things: the type parameters,
// which no report prints; the path of a package that is not in the standard library; and the
// type that a generated function compares.
//
// The names of the standard library keep their path: the runtime reads it before it
// interrupts a function.
func shortName(name string) string {
	if open, end := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']'); open >= 0 && end > open {
		name = name[:open] + "[...]" + name[end+1:]
	}
	if generated, ok := strings.CutPrefix(name, "type:."); ok {
		kind, _, _ := strings.Cut(generated, ".")
		return "type:." + kind
	}
	if host, _, ok := strings.Cut(name, "/"); ok && strings.Contains(host, ".") {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	return name
}
