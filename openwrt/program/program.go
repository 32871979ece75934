// SPDX-License-Identifier: GPL-2.0-or-later

// Package program finds and runs the system's own programs. It is a small os/exec: that
// package costs 200 KB of flash.
package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runTimeout limits the run time of every program, so that a program that hangs does not
// block the daemon.
const runTimeout = 10 * time.Second

// ErrMissing is the error for a program that is not installed.
var ErrMissing = errors.New("not found")

// Dirs are the directories of the system's own programs. They are searched even if PATH lacks
// them.
var Dirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// Find finds a program in PATH or Dirs.
func Find(name string) (string, error) {
	path, _, err := find(name)
	return path, err
}

// Same reports whether two names of programs lead to one file.
func Same(a, b string) bool {
	_, x, err := find(a)
	_, y, failed := find(b)
	return err == nil && failed == nil && os.SameFile(x, y)
}

func find(name string) (path string, st os.FileInfo, err error) {
	dirs := strings.Split(os.Getenv("PATH"), ":")
	for _, dir := range append(dirs, Dirs...) {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		path = dir + "/" + name
		if st, err = os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
			return path, st, nil
		}
	}
	return "", nil, fmt.Errorf("%s: %w", name, ErrMissing)
}

// Have reports whether a program is installed.
func Have(name string) bool {
	_, err := Find(name)
	return err == nil
}

// Run runs a program with a text as its input and returns its output. The error includes the
// program's messages on stderr.
func Run(input, name string, args ...string) (string, error) {
	return Start(input, name, args...).Wait()
}

// Program is a running program.
type Program struct {
	_         [0]func() // makes it not comparable, which saves flash
	name      string
	patience  time.Duration
	p         *os.Process
	err       error // why it could not be started
	kill      *time.Timer
	out, said chan string
}

// Start starts a program. The caller must then call Wait or Leave. Several programs may run
// side by side.
func Start(input, name string, args ...string) *Program {
	return StartFor(runTimeout, []string{input}, name, args...)
}

// StartFor starts a program that may run for the time patience. The first of the inputs is
// its standard input. The others are its file descriptors from 3 on.
func StartFor(patience time.Duration, inputs []string, name string, args ...string) *Program {
	t := &Program{name: name, patience: patience, out: make(chan string, 1), said: make(chan string, 1)}
	path, err := Find(name)
	if err != nil {
		t.err = err
		return t
	}
	if err := t.start(inputs, path, args); err != nil {
		t.err = fmt.Errorf("%s: %w", name, err)
	}
	return t
}

// Failed returns a Program that was not started because of an error.
func Failed(err error) *Program { return &Program{err: err} }

func (t *Program) start(inputs []string, path string, args []string) error {
	// A file as input needs no goroutine that writes to a pipe and could block.
	files := make([]*os.File, 3, 4)
	for i, input := range inputs {
		f, err := inputFile(input)
		if err != nil {
			return err
		}
		defer f.Close()
		if i == 0 {
			files[0] = f
		} else {
			files = append(files, f)
		}
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		outR.Close()
		return err
	}
	defer errW.Close()
	files[1], files[2] = outW, errW
	// Start it on the caller's thread, not in a goroutine: the thread may have its own
	// network namespace.
	t.p, err = os.StartProcess(path, append([]string{t.name}, args...), &os.ProcAttr{
		Env:   append(os.Environ(), "LC_ALL=C"),
		Files: files,
		// It gets its own process group: an interrupt from the terminal must not stop the
		// program half way.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		outR.Close()
		errR.Close()
		return err
	}
	t.kill = time.AfterFunc(t.patience, t.Kill)
	go readSome(outR, t.out, t.patience)
	go readSome(errR, t.said, t.patience)
	return nil
}

// Kill ends the program and all that it has started. The caller must still call Wait.
func (t *Program) Kill() {
	if t.p != nil {
		_ = syscall.Kill(-t.p.Pid, syscall.SIGKILL)
	}
}

// Wait waits for the program and returns its output.
func (t *Program) Wait() (string, error) {
	if t.err != nil {
		return "", t.err
	}
	out, said := <-t.out, <-t.said
	st, err := t.p.Wait()
	if !t.kill.Stop() {
		return out, fmt.Errorf("%s took longer than %v and was ended", t.name, t.patience)
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", t.name, err)
	}
	if !st.Success() {
		return out, &toolError{t.name, st.String(), strings.TrimSpace(said)}
	}
	return out, nil
}

// Leave lets the program end by itself, without a call of Wait.
func (t *Program) Leave() {
	if t.p != nil {
		go t.p.Wait()
	}
}

// toolError is the error of a program that failed.
type toolError struct {
	name, status, said string
}

// Error returns the first lines of the program's messages, joined to one line.
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

// readSome reads to the end, but no longer than patience. It keeps about 1 MiB at most. It
// avoids io.Copy, which would bring splice and sendfile into the binary.
func readSome(f *os.File, to chan<- string, patience time.Duration) {
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(patience))
	var out []byte
	b := make([]byte, 4096)
	for {
		n, err := f.Read(b)
		if len(out) < 1<<20 {
			out = append(out, b[:n]...)
		}
		if err != nil {
			to <- string(out)
			return
		}
	}
}

// inputFile returns a file in memory that contains the text.
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
