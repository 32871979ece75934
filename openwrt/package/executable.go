// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The words of Go's runtime.moduledata that say where the parts of its table of
// functions are, and the two lists of types that lie behind it.
const (
	moduleHeader    = 0
	moduleNames     = 1 // this and the next five are slices, three words each
	moduleUnits     = 4
	moduleFiles     = 7
	modulePCTab     = 10
	moduleFuncs     = 13
	moduleFuncIndex = 16
	moduleFind      = 19
	moduleFuncdata  = 40
	moduleEnd       = 41
	moduleTypelinks = 45
	moduleItablinks = 48

	moduleWords = moduleItablinks + 3
)

// An executable is a Go program for 32 bits, with the two sections that describe
// its functions.
type executable struct {
	exe    []byte
	file   *elf.File
	order  binary.ByteOrder
	tab    *elf.Section // .gopclntab
	module []byte       // .go.module, which is moduledata; part of exe
}

// openExecutable reads a copy of a program, which replace changes.
func openExecutable(exe []byte) (*executable, error) {
	exe = bytes.Clone(exe)
	file, err := elf.NewFile(bytes.NewReader(exe))
	if err != nil {
		return nil, err
	}
	p := &executable{exe: exe, file: file, order: file.ByteOrder, tab: file.Section(".gopclntab")}
	module := file.Section(".go.module")
	switch {
	case file.Class != elf.ELFCLASS32:
		return nil, errors.New("not a program for 32 bits")
	case p.tab == nil || module == nil || module.Size < 4*moduleWords:
		return nil, errors.New("no .gopclntab or no .go.module in the program")
	}
	p.module = exe[module.Offset : module.Offset+module.Size]
	return p, nil
}

func (p *executable) moduleWord(i int) uint32       { return p.order.Uint32(p.module[4*i:]) }
func (p *executable) setModuleWord(i int, v uint32) { p.order.PutUint32(p.module[4*i:], v) }

func (p *executable) sectionAddr(name string) (addr uint32) {
	if s := p.file.Section(name); s != nil {
		addr = uint32(s.Addr)
	}
	return addr
}

// table finds the parts of the table and checks that they lie as expected.
func (p *executable) table() (*pclntab, error) {
	data := p.exe[p.tab.Offset : p.tab.Offset+p.tab.Size]
	base, size := uint32(p.tab.Addr), uint32(p.tab.Size)
	if size < 4*wordsHeader || p.order.Uint32(data) != magicPclntab || data[7] != 4 {
		return nil, errors.New("the header of .gopclntab is of another version")
	}
	// Each part begins behind the one before; the header has the offsets of the
	// first five too.
	parts := []int{moduleNames, moduleUnits, moduleFiles, modulePCTab, moduleFuncs, moduleFuncdata, moduleFind, moduleEnd}
	starts := make([]uint32, len(parts))
	for i, word := range parts {
		starts[i] = p.moduleWord(word) - base
		if starts[i] > size || i > 0 && starts[i] < starts[i-1] || i < 5 && p.order.Uint32(data[4*(5+i):]) != starts[i] {
			return nil, fmt.Errorf("part %d of .gopclntab does not lie where it should", i)
		}
	}
	if p.moduleWord(moduleHeader) != base || starts[0] != 4*wordsHeader || starts[len(starts)-1] != size ||
		p.moduleWord(moduleFuncIndex) != p.moduleWord(moduleFuncs) ||
		p.moduleWord(moduleTypelinks) != p.sectionAddr(".typelink") ||
		p.moduleWord(moduleItablinks) != p.sectionAddr(".itablink") {
		return nil, errors.New("the module's data does not point to its sections")
	}
	t := &pclntab{
		order:    p.order,
		header:   data[:starts[0]],
		names:    data[starts[0]:starts[1]],
		pctab:    data[starts[3]:starts[4]],
		funcs:    data[starts[4]:starts[5]],
		funcdata: data[starts[5]:starts[6]],
		find:     data[starts[6]:],
		count:    int(p.order.Uint32(data[8:])),
	}
	if t.count >= len(t.funcs)/8 || p.moduleWord(moduleFuncIndex+1) != uint32(t.count)+1 {
		return nil, fmt.Errorf("%d functions do not fit the table", t.count)
	}
	return t, nil
}

// replace returns the program with a smaller table in place of its own.
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
	p.order.PutUint32(table[12:], 0) // files
	p.setModuleWord(moduleFuncdata, base+add(t.funcdata))
	p.setModuleWord(moduleFind, base+add(t.find))
	p.setModuleWord(moduleEnd, base+uint32(len(table)))
	return p.closeUp(table)
}

// Where the fields that move are in the headers of a 32-bit executable.
const (
	elfProgramHeaders = 28 // e_phoff
	elfSectionHeaders = 32 // e_shoff

	elfProgramHeader = 32 // bytes of each
	programOffset    = 4
	programFilesz    = 16
	programMemsz     = 20

	elfSectionHeader = 40
	sectionAddr      = 12
	sectionOffset    = 16
	sectionSize      = 20
)

// closeUp writes the smaller table and closes the gap behind it: the rest of its
// segment comes nearer, in memory too, and what lies behind the segment comes
// nearer in the file alone, by whole pages. Of what moves in memory only
// moduledata has addresses. What is behind all segments (the names of sections) is
// not put at a page of its own.
func (p *executable) closeUp(table []byte) ([]byte, error) {
	const align = 64 // more than any section asks for
	loaded := func(s *elf.Prog) bool { return s.Type == elf.PT_LOAD }
	in := slices.IndexFunc(p.file.Progs, func(s *elf.Prog) bool {
		return loaded(s) && s.Vaddr <= p.tab.Addr && p.tab.Addr < s.Vaddr+s.Filesz
	})
	if in < 0 || uint64(len(table)) > p.tab.Size {
		return nil, errors.New(".gopclntab lies in no segment, or would grow")
	}
	segment := p.file.Progs[in]
	end, segmentEnd := p.tab.Offset+p.tab.Size, segment.Off+segment.Filesz
	behind := slices.IndexFunc(p.file.Progs, func(s *elf.Prog) bool { return loaded(s) && s.Off >= segmentEnd })
	if behind < 0 {
		return nil, errors.New("no segment lies behind that of .gopclntab")
	}
	next, page := p.file.Progs[behind].Off, p.file.Progs[behind].Align
	last := slices.MaxFunc(p.file.Progs, func(a, b *elf.Prog) int { return cmp.Compare(a.Off+a.Filesz, b.Off+b.Filesz) })
	loadedEnd, tail := last.Off+last.Filesz, uint64(len(p.exe))
	for _, s := range p.file.Sections {
		if s.Type != elf.SHT_NOBITS && s.Offset >= loadedEnd {
			tail = min(tail, s.Offset)
		}
	}
	less := (p.tab.Size - uint64(len(table))) &^ (align - 1)
	lessBehind := (next - (segmentEnd - less)) &^ (page - 1)
	moved := func(offset uint64) uint64 {
		switch {
		case offset >= tail:
			return offset - lessBehind - (tail - loadedEnd)
		case offset >= next:
			return offset - lessBehind
		case offset >= end:
			return offset - less
		}
		return offset
	}

	for _, word := range []int{moduleTypelinks, moduleItablinks} {
		p.setModuleWord(word, p.moduleWord(word)-uint32(less))
	}
	out := slices.Concat(p.exe[:p.tab.Offset], table)
	out = append(out, make([]byte, moved(end)-uint64(len(out)))...)
	out = append(out, p.exe[end:segmentEnd]...)
	out = append(out, make([]byte, moved(next)-uint64(len(out)))...)
	out = append(out, p.exe[next:loadedEnd]...)
	out = append(out, p.exe[tail:]...)

	put := func(at, v uint64) { p.order.PutUint32(out[at:], uint32(v)) }
	programs := uint64(p.order.Uint32(out[elfProgramHeaders:]))
	for i, s := range p.file.Progs {
		at := programs + uint64(i)*elfProgramHeader
		put(at+programOffset, moved(s.Off))
		if i == in {
			put(at+programFilesz, s.Filesz-less)
			put(at+programMemsz, s.Memsz-less)
		}
	}
	sections := moved(uint64(p.order.Uint32(out[elfSectionHeaders:])))
	put(elfSectionHeaders, sections)
	for i, s := range p.file.Sections {
		at := sections + uint64(i)*elfSectionHeader
		put(at+sectionOffset, moved(s.Offset))
		if s == p.tab {
			put(at+sectionSize, uint64(len(table)))
		}
		if s.Addr != 0 && s.Offset >= end && s.Offset < segmentEnd {
			put(at+sectionAddr, s.Addr-less)
		}
	}
	return out, nil
}
