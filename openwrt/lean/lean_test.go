// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

const crashLine = `table["x"] = 1` // in testdata/torture

// A processor is one that routers with little flash have.
type processor struct {
	name     string
	env      []string
	emulator string // runs programs for it
}

var processors = []processor{
	{"mips", []string{"GOARCH=mips", "GOMIPS=softfloat"}, "qemu-mips"},
	{"mipsle", []string{"GOARCH=mipsle", "GOMIPS=softfloat"}, "qemu-mipsel"},
	{"armv7", []string{"GOARCH=arm", "GOARM=7"}, "qemu-arm"},
	{"armv5", []string{"GOARCH=arm", "GOARM=5"}, "qemu-arm"},
}

// build lets Go build a program in a directory of the checkout.
func build(t testing.TB, p processor, dir, program string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", file, program)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS="), p.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s for %s: %v\n%s", program, p.name, err, out)
	}
	exe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// torture returns testdata/torture, still with all data.
func torture(t testing.TB, p processor) []byte { return build(t, p, ".", "./testdata/torture") }

func lean(t testing.TB, exe []byte) []byte {
	t.Helper()
	opened(t, exe)
	out, err := withoutLines(exe)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLeanRuns runs a program that uses the tables much. The lean program must do the same as
// before, and the line of its crash must still be found.
func TestLeanRuns(t *testing.T) {
	for _, p := range processors {
		t.Run(p.name, func(t *testing.T) {
			emulator, err := exec.LookPath(p.emulator)
			if err != nil {
				t.Skipf("needs %q (qemu-user)", p.emulator)
			}
			whole := torture(t, p)
			small := lean(t, whole)
			if a, b := gzipSize(t, whole), gzipSize(t, small); b > a*85/100 {
				t.Errorf("compressed, %d bytes of %d are left", b, a)
			}
			dir := t.TempDir()
			run := func(name string, exe []byte, args ...string) (stdout, stderr string, err error) {
				file := filepath.Join(dir, name)
				if err := os.WriteFile(file, exe, 0o700); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(emulator, append([]string{file}, args...)...)
				var out, errs bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &errs
				err = cmd.Run()
				return out.String(), errs.String(), err
			}
			want, _, err := run("whole", whole)
			if err != nil {
				t.Fatal(err)
			}
			got, report, err := run("small", small)
			if err != nil {
				t.Fatalf("%v\n%s", err, report)
			}
			if got != want {
				t.Errorf("it did\n%swant\n%s", got, want)
			}

			_, report, err = run("small", small, "crash")
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Fatalf("the crash: %v", err)
			}
			if !strings.Contains(report, "main.crash()\n\t?:0 +0x") {
				t.Errorf("the report does not name the function:\n%s", report)
			}
			var lines bytes.Buffer
			if err := linesOf(whole, strings.NewReader(report), &lines); err != nil {
				t.Fatal(err)
			}
			if where := fmt.Sprintf("main.go:%d\n", lineOf(t, crashLine)); !strings.Contains(lines.String(), where) {
				t.Errorf("the line is not %s:\n%s", where, &lines)
			}
		})
	}
}

// gzipSize returns about the size of a program in a compressing file system.
func gzipSize(t *testing.T, exe []byte) int {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(exe); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

// lineOf returns the number of the line in torture's source that contains the text.
func lineOf(t *testing.T, text string) int {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "torture", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(source), text)
	if !ok {
		t.Fatalf("%q is not in the source", text)
	}
	return 1 + strings.Count(before, "\n")
}

// TestLeanTables compares, for each function of the daemon, all data that the runtime reads
// before a crash.
func TestLeanTables(t *testing.T) {
	for _, p := range processors {
		t.Run(p.name, func(t *testing.T) {
			exe := build(t, p, "../..", "./cmd/p2pwall")
			whole, small := tables(t, exe), tables(t, lean(t, exe))
			if len(whole) != len(small) || len(whole) < 1000 {
				t.Fatalf("%d functions are left of %d", len(small), len(whole))
			}
			for i := range whole {
				if !reflect.DeepEqual(whole[i], small[i]) {
					t.Fatalf("function %d is\n%+v\nwant\n%+v", i, small[i], whole[i])
				}
			}
		})
	}
}

// needed is the data of a function that the runtime reads before a crash.
type needed struct {
	Name   string
	Fixed  []byte    // of _func
	SP     []byte    // a sequence
	PCData [5][]byte // sequences: unsafe points, stack maps, inlined calls, (3), panics
	Data   [5][]byte // of arguments, of locals, stack objects, inlined calls, defers
	Calls  []string  // inlined, without their lines
}

// tables reads the functions of a program without the data that is not needed.
func tables(t *testing.T, exe []byte) []needed {
	t.Helper()
	p := opened(t, exe)
	tab, err := p.table()
	if err != nil {
		t.Fatal(err)
	}
	functions, err := tab.functions()
	if err != nil {
		t.Fatal(err)
	}
	sequence := func(at uint32) []byte {
		if at == 0 {
			return nil
		}
		s, err := tab.sequence(at)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	name := func(at uint32) string {
		s, err := tab.name(at)
		if err != nil {
			t.Fatal(err)
		}
		return shortName(s)
	}
	word := func(b []byte, i int) uint32 { return tab.order.Uint32(b[4*i:]) }
	var all []needed
	for i, f := range functions {
		if entry := word(tab.funcs, 2*i); entry != word(f.fixed, 0) {
			t.Fatalf("the index has function %d at %#x, the function %#x", i, entry, word(f.fixed, 0))
		}
		n := needed{Name: name(word(f.fixed, funcName)), SP: sequence(word(f.fixed, funcSP)), Fixed: f.fixed}
		// Clear the words that are compared by the data they point to, and those that lean
		// clears: files and lines.
		for _, i := range []int{1, 4, 5, 6, 7, 8, 9} {
			clear(n.Fixed[4*i:][:4])
		}
		n.Fixed[43] = 0
		for kind, at := range f.pcdata {
			if kind != 3 {
				n.PCData[kind] = sequence(at)
			}
		}
		for kind, at := range f.funcdata {
			if at == noFuncdata || kind >= len(n.Data) {
				continue
			}
			if kind < 4 && (p.moduleWord(p.layout.funcdata)+at)%4 != 0 {
				t.Fatalf("data %d of %s is not aligned", kind, n.Name)
			}
			data := tab.funcdata[at:]
			switch kind {
			case 0, 1: // runtime.stackmap: count, bits of each
				data = data[:8+word(data, 0)*((word(data, 1)+7)/8)]
			case 2: // count, four words each
				data = data[:4+16*word(data, 0)]
			case 3:
				for i := range highest(n.PCData[2]) + 1 {
					call := data[sizeCall*i:]
					n.Calls = append(n.Calls, fmt.Sprint(call[0], name(word(call, 1)), word(call, 2)))
				}
				data = nil
			case 4: // two numbers
				_, one := binary.Uvarint(data)
				_, two := binary.Uvarint(data[one:])
				data = data[:one+two]
			}
			n.Data[kind] = data
		}
		all = append(all, n)
	}
	return all
}

// opened opens a program built by the Go that runs the tests.
func opened(t testing.TB, exe []byte) *executable {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(exe))
	if err != nil {
		t.Fatal(err)
	}
	layout, err := layoutOf(info.GoVersion)
	if err != nil {
		t.Skip(err)
	}
	p, err := openExecutable(exe, layout)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLayoutOf(t *testing.T) {
	for version, want := range map[string]int{
		"go1.26":                   40,
		"go1.26.8":                 40,
		"go1.26.8-X:newinliner":    40,
		"go1.26-X:nogreenteagc":    40,
		"go1.27.0":                 43,
		"go1.27.4":                 43,
		"go1.26rc1":                0,
		"go1.28.0":                 0,
		"go1.25.9":                 0,
		"go1.2":                    0,
		"go1.260":                  0,
		"devel go1.26-0123456789":  0,
		"go1.27-devel_0123456789a": 0,
		"":                         0,
	} {
		l, err := layoutOf(version)
		if l.funcdata != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %+v, %v", version, l, err)
		}
	}
}

func TestShortName(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"runtime.mallocgc", "runtime.mallocgc"},
		{"internal/runtime/atomic.(*Uint32).Load", "internal/runtime/atomic.(*Uint32).Load"},
		{"vendor/golang.org/x/net/dns/dnsmessage.unpackUint16", "vendor/golang.org/x/net/dns/dnsmessage.unpackUint16"},
		{"github.com/p2pwall/p2pwall/state.(*Engine).Packet", "state.(*Engine).Packet"},
		{"golang.org/x/sys/unix.Close", "unix.Close"},
		{"slices.pdqsortOrdered[go.shape.int]", "slices.pdqsortOrdered[...]"},
		{"unique.(*canonMap[go.shape.struct { net/netip.isV6 bool }]).expand", "unique.(*canonMap[...]).expand"},
		{"github.com/a/b.f[go.shape.[]github.com/c/d.T].func1", "b.f[...].func1"},
		{"main.main.func1", "main.main.func1"},
		{"type:.eq.struct { a int; b string }", "type:.eq"},
		{"type:.hash.[2]interface {}", "type:.hash"},
		{"", ""},
	} {
		if got := shortName(test.name); got != test.want {
			t.Errorf("%q is shortened to %q, want %q", test.name, got, test.want)
		}
	}
}

// TestNotLean has programs that lean must leave unchanged.
func TestNotLean(t *testing.T) {
	exe := torture(t, processors[0])
	p := opened(t, exe)
	info, err := buildinfo.Read(bytes.NewReader(exe))
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(info.GoVersion, "go1.", "go2.", 1)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	native, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, want string
		exe        []byte
	}{
		{"no program", "unrecognized file format", []byte("#!/bin/sh\n")},
		{"another version of Go", "it was built by " + later + ", and only the tables of go1.26 and go1.27 are known", bytes.ReplaceAll(exe, []byte(info.GoVersion), []byte(later))},
		{"64 bits", "not a program for 32 bits", native},
		{"another table", "of another version", patched(exe, p.tab.Offset, 0)},
		{"a part elsewhere", "part 3 of .gopclntab", patched(exe, p.tab.Offset+4*8, 8)},
		{"another number of functions", "functions do not fit", patched(exe, p.tab.Offset+8, 7)},
	} {
		t.Run(test.what, func(t *testing.T) {
			out, err := withoutLines(test.exe)
			if err == nil || out != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d bytes, error %v, want %q", len(out), err, test.want)
			}
			// The command leaves the file as it is, says so, and does not fail.
			file := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(file, test.exe, 0o700); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			if err := run([]string{file}, nil, nil, &said); err != nil {
				t.Error(err)
			}
			if line := said.String(); !strings.Contains(line, " is left as it is: ") || strings.Count(line, "\n") != 1 {
				t.Errorf("it said %q", line)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, test.exe) {
				t.Errorf("the file is another one (%v)", err)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	exe := torture(t, processors[0])
	want := lean(t, exe)
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, exe, 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := run([]string{file}, nil, nil, &said); err != nil || said.Len() > 0 {
		t.Errorf("%v, %s", err, &said)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the program is another one (%v)", err)
	}
	for _, args := range [][]string{nil, {file, file}, {file + "x"}, {"-x", file}} {
		if run(args, nil, nil, &said) == nil {
			t.Errorf("%q is no error", args)
		}
	}
}

// TestLeanTwice: a second run removes nothing more.
func TestLeanTwice(t *testing.T) {
	once := lean(t, torture(t, processors[0]))
	if twice := lean(t, once); !bytes.Equal(twice, once) {
		t.Error("it is another program the second time")
	}
}

// patched returns a copy with one byte changed.
func patched(exe []byte, at uint64, b byte) []byte {
	exe = bytes.Clone(exe)
	exe[at+3] ^= b + 1
	return exe
}

var fuzzed struct {
	sync.Once
	exe []byte
}

// FuzzLean changes words of the tables and of the data that points to them.
func FuzzLean(f *testing.F) {
	fuzzed.Do(func() { fuzzed.exe = torture(f, processors[0]) })
	p := opened(f, fuzzed.exe)
	module := uint32(bytes.Index(fuzzed.exe, p.module))
	tab, size := uint32(p.tab.Offset), uint32(p.tab.Size)
	for i := range uint32(p.layout.end + 1) {
		f.Add(module+4*i, uint32(0xffffffff))
		f.Add(module+4*i, uint32(0))
	}
	for at := uint32(0); at < size; at += size / 100 &^ 3 {
		f.Add(tab+at, uint32(0xffffffff))
		f.Add(tab+at, uint32(0x80808080))
		f.Add(tab+at, uint32(0x00010000))
	}
	f.Fuzz(func(t *testing.T, at, v uint32) {
		exe := bytes.Clone(fuzzed.exe)
		if uint64(at)+4 > uint64(len(exe)) {
			return
		}
		p.order.PutUint32(exe[at:], v)
		out, err := withoutLines(exe)
		if err != nil && out != nil || err == nil && len(out) > len(exe) {
			t.Errorf("%d bytes of %d, error %v", len(out), len(exe), err)
		}
	})
}
