// SPDX-License-Identifier: GPL-2.0-or-later

// Package program finds and runs the system's own programs. It is os/exec in small:
// that package costs 200 KB of flash.
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

// runTimeout bounds every program that is run: a hanging one must not take the
// daemon with it.
const runTimeout = 10 * time.Second

// ErrMissing is what runTool's error is when the program is not installed.
var ErrMissing = errors.New("not found")

// Dirs are where the system's own programs are, whatever PATH says.
var Dirs = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"}

// Find finds a program in PATH or systemDirs.
func Find(name string) (string, error) {
	dirs := strings.Split(os.Getenv("PATH"), ":")
	for _, dir := range append(dirs, Dirs...) {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		path := dir + "/" + name
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrMissing)
}

// Have reports whether a program is installed.
func Have(name string) bool {
	_, err := Find(name)
	return err == nil
}

// Run runs a program with a text as its input and returns what it prints.
// What it says to stderr becomes part of the error.
func Run(input, name string, args ...string) (string, error) {
	return Start(input, name, args...).Wait()
}

// Program is a program that runs.
type Program struct {
	_         [0]func() // is not compared, which would cost flash
	name      string
	patience  time.Duration
	p         *os.Process
	err       error // it could not be started
	kill      *time.Timer
	out, said chan string
}

// Start starts a program, to be waited for by end, for those that may run
// side by side.
func Start(input, name string, args ...string) *Program {
	return StartFor(runTimeout, []string{input}, name, args...)
}

// StartFor starts a program that may run for as long as patience. The first of the inputs
// is its standard input; the program finds the others as its file descriptors from 3 on.
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

// Failed stands for a program that was not started because of an error.
func Failed(err error) *Program { return &Program{err: err} }

func (t *Program) start(inputs []string, path string, args []string) error {
	// A file as input needs no writer that could block.
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
	// On the caller's thread, not in a goroutine: it may have a network
	// namespace of its own.
	t.p, err = os.StartProcess(path, append([]string{t.name}, args...), &os.ProcAttr{
		Env:   append(os.Environ(), "LC_ALL=C"),
		Files: files,
		// A group of its own: an interrupt from the terminal must not stop
		// it half way.
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

// Kill ends the program with all that it has started. Wait has to be called all the same.
func (t *Program) Kill() {
	if t.p != nil {
		_ = syscall.Kill(-t.p.Pid, syscall.SIGKILL)
	}
}

// Wait waits for the program and returns what it printed.
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

// Leave lets the program end by itself, if nobody has waited for it.
func (t *Program) Leave() {
	if t.p != nil {
		go t.p.Wait()
	}
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

// readSome reads to the end, or as long as the program may run, keeping no more than
// a MiB. io.Copy would bring splice and sendfile into the binary.
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
