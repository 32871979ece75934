// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// A crash report names a function on one line: with its arguments, or as the creator of a
// goroutine. The next line has the offset in the function.
var (
	reportFunction = regexp.MustCompile(`^(?:created by )?(.+?)(?:\([^()]*\)| in goroutine \d+)?$`)
	reportOffset   = regexp.MustCompile(`^\t\?:0 \+0x([0-9a-f]+)`)
)

// linesOf copies the crash report of a program that withoutLines made. It adds file and line
// to each offset. exe is the program before withoutLines. Lines that it does not know are
// copied unchanged.
func linesOf(exe []byte, report io.Reader, out io.Writer) error {
	file, err := elf.NewFile(bytes.NewReader(exe))
	if err != nil {
		return err
	}
	tab, text := file.Section(".gopclntab"), file.Section(".text")
	if tab == nil || text == nil {
		return errors.New("no .gopclntab or no .text in the program")
	}
	data, err := tab.Data()
	if err != nil {
		return err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return err
	}
	// Several functions may have the same short name.
	entries := map[string][]uint64{}
	for _, f := range table.Funcs {
		name := shortName(f.Name)
		entries[name] = append(entries[name], f.Entry)
	}
	function := ""
	for in := bufio.NewScanner(report); ; {
		if !in.Scan() {
			return in.Err()
		}
		line := in.Text()
		if m := reportOffset.FindStringSubmatch(line); m != nil {
			offset, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			for _, entry := range entries[function] {
				// The offset is the return address. The call is before it.
				if source, n, f := table.PCToLine(entry + offset - 1); f != nil && f.Entry == entry {
					line += fmt.Sprintf(" %s:%d", source, n)
				}
			}
		} else if m := reportFunction.FindStringSubmatch(line); m != nil {
			function = m[1]
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
}
