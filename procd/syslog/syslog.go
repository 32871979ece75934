// SPDX-License-Identifier: GPL-2.0-or-later

// Package syslog writes the lines of the log: to standard error, to systemd's journal,
// or to the socket of the system's log.
package syslog

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The priorities of log lines, with syslog's numbers.
const (
	Error   = 3
	Warning = 4
	Notice  = 5
	Info    = 6
)

// facility is syslog's facility "daemon", shifted so that it can be added to a priority.
const facility = 3 << 3

// devLog is the socket of the system's log.
const devLog = "/dev/log"

// Logger writes the lines of the log.
type Logger struct {
	mu     sync.Mutex
	w      io.Writer
	format func(priority int, text string) []byte
	syslog int    // datagram socket, or -1
	path   string // of the log's socket
	now    func() time.Time
}

// New returns a logger for people and for tests. It writes lines to w that begin with the
// program's name and do not show the priority.
func New(w io.Writer) *Logger {
	return &Logger{w: w, syslog: -1, format: func(_ int, text string) []byte { return []byte("p2pwall: " + text + "\n") }}
}

// Open returns a logger of a kind:
//
//	stderr   the same as New
//	journal  lines on w for systemd. systemd reads the priority from the beginning
//	         of each line, and adds the program's name.
//	syslog   the socket of the system's log. Standard error would not do: procd logs
//	         every line from there as an error. If the socket does not take a line,
//	         the line goes to w without the name, because procd adds it. In a jail
//	         this happens after a restart of OpenWrt's log: the jail still has the
//	         old socket.
func Open(kind string, w io.Writer) (*Logger, error) {
	l := New(w)
	switch kind {
	case "", "stderr":
		return l, nil
	case "journal":
		l.format = func(priority int, text string) []byte { return fmt.Appendf(nil, "<%d>%s\n", priority, text) }
	case "syslog":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			fd = -1 // every line goes to w
		}
		l.syslog, l.path, l.now = fd, devLog, time.Now
		l.format = func(_ int, text string) []byte { return []byte(text + "\n") }
	default:
		return nil, fmt.Errorf("unknown kind of log %q: use stderr, journal or syslog", kind)
	}
	return l, nil
}

// Printf writes one line with priority info, for what happens in normal operation.
func (l *Logger) Printf(format string, args ...any) { l.Logf(Info, format, args...) }

// Noticef writes one line that the owner of the router may want to read.
func (l *Logger) Noticef(format string, args ...any) { l.Logf(Notice, format, args...) }

// Warnf writes one line about something that does not work as it should.
func (l *Logger) Warnf(format string, args ...any) { l.Logf(Warning, format, args...) }

// Errorf writes one line about something that does not work at all.
func (l *Logger) Errorf(format string, args ...any) { l.Logf(Error, format, args...) }

// Failure writes an error that may have several lines, one for each fault.
func (l *Logger) Failure(err error) {
	for _, line := range strings.Split(err.Error(), "\n") {
		l.Errorf("%s", line)
	}
}

// Logf writes one line of a priority.
func (l *Logger) Logf(priority int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.syslog >= 0 && unix.Sendto(l.syslog, l.datagram(priority, text), 0, &unix.SockaddrUnix{Name: l.path}) == nil {
		return
	}
	_, _ = l.w.Write(l.format(priority, text))
}

// datagram returns a line in the format of the C library's syslog(3). OpenWrt's log skips
// a time of this length and puts its own there. The line has no process id: in a jail
// that would always be 1.
func (l *Logger) datagram(priority int, text string) []byte {
	t := l.now()
	h, m, s := t.Clock()
	return fmt.Appendf(nil, "<%d>%s %2d %02d:%02d:%02d p2pwall: %s",
		facility|priority, t.Month().String()[:3], t.Day(), h, m, s, text)
}
