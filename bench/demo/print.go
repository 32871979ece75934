// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// teller prints the events of the demo: who, when, what.
type teller struct {
	mu    sync.Mutex
	w     io.Writer
	began time.Time
	color bool
}

func newTeller(f *os.File) *teller {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	term := os.Getenv("TERM")
	color := err == nil && os.Getenv("NO_COLOR") == "" && term != "" && term != "dumb"
	return &teller{w: f, began: time.Now(), color: color}
}

// speakers are the names before each line, with their ANSI colours.
var speakers = map[string]int{"client": 33, "wall": 36, "host": 32, "lab": 90}

// say prints a line with the time since the start.
func (t *teller) say(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := fmt.Sprintf("%-6s", who)
	if t.color {
		name = fmt.Sprintf("\x1b[%dm%s\x1b[0m", speakers[who], name)
	}
	fmt.Fprintf(t.w, "%5.1f s  %s  %s\n", time.Since(t.began).Seconds(), name, fmt.Sprintf(format, args...))
}

// head prints the title of a part.
func (t *teller) head(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if t.color {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(t.w, "\n%s\n", text)
}

// plain prints text as it is.
func (t *teller) plain(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.w, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// Write prints one line of the wall's log.
func (t *teller) Write(b []byte) (int, error) {
	t.say("wall", "log: %s", strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
