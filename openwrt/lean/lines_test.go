// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLinesOfReport gives lines to a report of this test's own program, which names the
// functions in all forms that reports have. All else in the report stays as it is.
func TestLinesOfReport(t *testing.T) {
	pc, file, line, _ := runtime.Caller(0)
	f := runtime.FuncForPC(pc)
	offset := fmt.Sprintf("\t?:0 +0x%x", pc-f.Entry())
	name := shortName(f.Name())
	const where = " %s:%d"
	found := fmt.Sprintf(where, file, line)
	for _, c := range []struct{ name, in, want string }{
		{"arguments", name + "(0x1, {0x2, ...})\n" + offset + "\n", name + "(0x1, {0x2, ...})\n" + offset + found + "\n"},
		{"no arguments", name + "()\n" + offset + "\n", name + "()\n" + offset + found + "\n"},
		{"inlined", name + "(...)\n" + offset + "\n", name + "(...)\n" + offset + found + "\n"},
		{
			"a goroutine", "created by " + name + " in goroutine 1\n" + offset + "\n",
			"created by " + name + " in goroutine 1\n" + offset + found + "\n",
		},
		{"a frame pointer behind it", name + "()\n" + offset + " fp=0x1 sp=0x2\n", name + "()\n" + offset + " fp=0x1 sp=0x2" + found + "\n"},
		{"another program's function", "other.f()\n" + offset + "\n", "other.f()\n" + offset + "\n"},
		{"an offset in another function", "runtime.GC()\n\t?:0 +0x10000\n", "runtime.GC()\n\t?:0 +0x10000\n"},
		{"other lines", "panic: x\n\n\t/a/b.go:7 +0x9\nexit status 2", "panic: x\n\n\t/a/b.go:7 +0x9\nexit status 2\n"},
		{"nothing", "", ""},
	} {
		var out strings.Builder
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		if err := run([]string{"-lines", self}, strings.NewReader(c.in), &out, os.Stderr); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if out.String() != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, &out, c.want)
		}
	}
}

// TestLinesOfNoProgram: a file without Go's tables is an error, not a report without lines.
func TestLinesOfNoProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{"-lines", file}, strings.NewReader("panic: x\n"), &out, os.Stderr); err == nil || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

// TestSequence: a sequence ends at the first zero that is not at its beginning. One without an
// end is an error, and so is an offset outside.
func TestSequence(t *testing.T) {
	tab := &pclntab{order: binary.BigEndian, pctab: []byte{
		0,       // 0: no sequence
		2, 4, 0, // 1: one pair
		0, 1, 3, 1, 0, // 4: the first value does not change
		0x82, 0x01, 0x90, 0x02, 1, 1, 0, // 9: numbers of two bytes
		6, 1, // 16: no end
	}, names: []byte("main.a\x00main.b\x00open")}
	for _, c := range []struct {
		at      uint32
		length  int // 0: an error
		highest int
	}{{1, 3, 0}, {4, 5, -1}, {9, 7, 64}, {16, 0, 0}, {18, 0, 0}, {99, 0, 0}} {
		s, err := tab.sequence(c.at)
		if len(s) != c.length || (err == nil) != (c.length > 0) {
			t.Errorf("at %d: % x, %v", c.at, s, err)
		}
		if c.length > 0 && highest(s) != c.highest {
			t.Errorf("at %d: the highest value is %d, want %d", c.at, highest(s), c.highest)
		}
	}
	for at, want := range map[uint32]string{0: "main.a", 7: "main.b", 12: "b", 14: "error", 99: "error"} {
		got, err := tab.name(at)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("the name at %d is %q, want %q", at, got, want)
		}
	}
}
