// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runTimeout bounds every program that is run: a hanging one must not take the
// daemon with it.
const runTimeout = 10 * time.Second

// errNoProgram is what runTool's error is when the program is not installed.
var errNoProgram = errors.New("not found")

// systemDirs are where the system's own programs are, whatever PATH says.
var systemDirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// lookup finds a program in PATH or systemDirs.
func lookup(name string) (string, error) {
	dirs := strings.Split(os.Getenv("PATH"), ":")
	for _, dir := range append(dirs, systemDirs...) {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		path := dir + "/" + name
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, errNoProgram)
}

// have reports whether a program is installed.
func have(name string) bool {
	_, err := lookup(name)
	return err == nil
}

// runTool runs a program with a text as its input and returns what it prints.
// What it says to stderr becomes part of the error. It is os/exec in small: that
// package costs 200 KB of flash.
func runTool(input, name string, args ...string) (string, error) {
	path, err := lookup(name)
	if err != nil {
		return "", err
	}
	// A file as input needs no writer that could block.
	stdin, err := inputFile(input)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer stdin.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer outR.Close()
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer errR.Close()
	defer errW.Close()

	p, err := os.StartProcess(path, append([]string{name}, args...), &os.ProcAttr{
		Env:   append(os.Environ(), "LC_ALL=C"),
		Files: []*os.File{stdin, outW, errW},
		// A group of its own: an interrupt from the terminal must not stop
		// it half way.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	outW.Close()
	errW.Close()
	deadline := time.Now().Add(runTimeout)
	_ = outR.SetReadDeadline(deadline)
	_ = errR.SetReadDeadline(deadline)
	kill := time.AfterFunc(runTimeout, func() { _ = p.Kill() })
	complaints := make(chan string, 1)
	go func() { complaints <- readSome(errR) }()
	out := readSome(outR)
	said := <-complaints
	st, err := p.Wait()
	if !kill.Stop() {
		return out, fmt.Errorf("%s took longer than %v and was ended", name, runTimeout)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	if !st.Success() {
		return out, &toolError{name, st.String(), strings.TrimSpace(said)}
	}
	return out, nil
}

// toolError is a program that ended with a failure.
type toolError struct {
	name, status, said string
}

// Error returns the beginning of what the program said, on one line.
func (e *toolError) Error() string {
	s := e.said
	if s == "" {
		s = e.status
	}
	lines := strings.Split(s, "\n")
	if len(lines) > 3 {
		lines = lines[:3]
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	s = strings.Join(lines, "; ")
	if !strings.HasPrefix(s, e.name) {
		s = e.name + ": " + s
	}
	return s
}

// readSome reads to the end, keeping no more than a MiB. io.Copy would bring
// splice and sendfile into the binary.
func readSome(f *os.File) string {
	var out []byte
	b := make([]byte, 4096)
	for {
		n, err := f.Read(b)
		if len(out) < 1<<20 {
			out = append(out, b[:n]...)
		}
		if err != nil {
			return string(out)
		}
	}
}

// inputFile returns a file in memory that holds a text.
func inputFile(text string) (*os.File, error) {
	if text == "" {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "input")
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// exists reports whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
