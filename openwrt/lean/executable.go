// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// The indexes of the words in Go's runtime.moduledata that locate the parts of its function
// table. Indexes that differ between versions of Go are in layout.
const (
	moduleHeader    = 0
	moduleNames     = 1 // this and the next five are slices, three words each
	moduleUnits     = 4
	moduleFiles     = 7
	modulePCTab     = 10
	moduleFuncs     = 13
	moduleFuncIndex = 16
	moduleFind      = 19
)

// An executable is a 32-bit Go program with the two sections that describe its functions.
type executable struct {
	exe    []byte
	layout layout
	order  binary.ByteOrder
	tab    *elf.Section // .gopclntab
	module []byte       // .go.module, which is moduledata; part of exe
}

// openExecutable reads a copy of a program. replace changes that copy.
func openExecutable(exe []byte, layout layout) (*executable, error) {
	exe = bytes.Clone(exe)
	file, err := elf.NewFile(bytes.NewReader(exe))
	if err != nil {
		return nil, err
	}
	p := &executable{exe: exe, layout: layout, order: file.ByteOrder, tab: file.Section(".gopclntab")}
	module := file.Section(".go.module")
	switch {
	case file.Class != elf.ELFCLASS32:
		return nil, errors.New("not a program for 32 bits")
	case p.tab == nil || module == nil || module.Size < 4*uint64(layout.end+1):
		return nil, errors.New("no .gopclntab or no .go.module in the program")
	case max(p.tab.Offset+p.tab.Size, module.Offset+module.Size) > uint64(len(exe)):
		return nil, errors.New("the program is cut short")
	}
	p.module = exe[module.Offset : module.Offset+module.Size]
	return p, nil
}

func (p *executable) moduleWord(i int) uint32       { return p.order.Uint32(p.module[4*i:]) }
func (p *executable) setModuleWord(i int, v uint32) { p.order.PutUint32(p.module[4*i:], v) }

// table finds the parts of the table and checks that they are where they should be.
func (p *executable) table() (*pclntab, error) {
	data := p.exe[p.tab.Offset : p.tab.Offset+p.tab.Size]
	base, size := uint32(p.tab.Addr), uint32(p.tab.Size)
	if size < 4*wordsHeader || p.order.Uint32(data) != magicPclntab || data[7] != 4 {
		return nil, errors.New("the header of .gopclntab is of another version")
	}
	// Each part starts after the one before. The header also has the offsets of the first
	// five.
	parts := []int{moduleNames, moduleUnits, moduleFiles, modulePCTab, moduleFuncs, p.layout.funcdata, moduleFind, p.layout.end}
	starts := make([]uint32, len(parts))
	for i, word := range parts {
		starts[i] = p.moduleWord(word) - base
		if starts[i] > size || i > 0 && starts[i] < starts[i-1] || i < 5 && p.order.Uint32(data[4*(5+i):]) != starts[i] {
			return nil, fmt.Errorf("part %d of .gopclntab does not lie where it should", i)
		}
	}
	if p.moduleWord(moduleHeader) != base || starts[0] != 4*wordsHeader ||
		p.moduleWord(moduleFuncIndex) != p.moduleWord(moduleFuncs) {
		return nil, errors.New("the module's data does not point to .gopclntab")
	}
	t := &pclntab{
		order:    p.order,
		header:   data[:starts[0]],
		names:    data[starts[0]:starts[1]],
		pctab:    data[starts[3]:starts[4]],
		funcs:    data[starts[4]:starts[5]],
		funcdata: data[starts[5]:starts[6]],
		find:     data[starts[6]:starts[7]],
		count:    int(p.order.Uint32(data[8:])),
	}
	if t.count >= len(t.funcs)/8 || p.moduleWord(moduleFuncIndex+1) != uint32(t.count)+1 {
		return nil, fmt.Errorf("%d functions do not fit the table", t.count)
	}
	return t, nil
}

// replace returns the program with a smaller table in place of its own. Zeros fill the free
// space. Nothing behind the table moves, because much of the program has its address. A
// compressing file system stores zeros in almost no space.
func (p *executable) replace(t *pclntab) ([]byte, error) {
	base := uint32(p.tab.Addr)
	table := bytes.Clone(t.header)
	add := func(part []byte) uint32 {
		for len(table)%8 != 0 {
			table = append(table, 0)
		}
		at := uint32(len(table))
		table = append(table, part...)
		return at
	}
	slice := func(word int, at uint32, length int) {
		p.setModuleWord(word, base+at)
		p.setModuleWord(word+1, uint32(length))
		p.setModuleWord(word+2, uint32(length))
	}
	for i, part := range []struct {
		word int
		data []byte
	}{{moduleNames, t.names}, {moduleUnits, nil}, {moduleFiles, nil}, {modulePCTab, t.pctab}, {moduleFuncs, t.funcs}} {
		at := add(part.data)
		slice(part.word, at, len(part.data))
		p.order.PutUint32(table[4*(5+i):], at)
		if part.word == moduleFuncs {
			slice(moduleFuncIndex, at, t.count+1)
		}
	}
	p.order.PutUint32(table[12:], 0) // offset of the list of source files
	p.setModuleWord(p.layout.funcdata, base+add(t.funcdata))
	p.setModuleWord(moduleFind, base+add(t.find))
	p.setModuleWord(p.layout.end, base+uint32(len(table)))
	place := p.exe[p.tab.Offset : p.tab.Offset+p.tab.Size]
	if len(table) > len(place) {
		return nil, errors.New(".gopclntab would grow")
	}
	clear(place[copy(place, table):])
	return p.exe, nil
}
