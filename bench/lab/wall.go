// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BinaryEnv is the environment variable with the path of the p2pwall program. If it is
// not set, BuildWall builds the program from source.
const BinaryEnv = "P2PWALL_BIN"

// BuildWall returns the path of the program: the one in BinaryEnv, or else a fresh build
// in dir.
func BuildWall(dir string) (string, error) {
	if p := os.Getenv(BinaryEnv); p != "" {
		return p, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("lab: no go to build p2pwall with, and %s is not set", BinaryEnv)
	}
	flags := "-s -w"
	if mod, err := exec.Command("go", "env", "GOMOD").Output(); err == nil {
		version, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "VERSION"))
		if err == nil {
			flags += " -X main.version=" + strings.TrimSpace(string(version))
		}
	}
	bin := filepath.Join(dir, "p2pwall")
	cmd := exec.Command("go", "build", "-ldflags", flags, "-o", bin, "github.com/p2pwall/p2pwall/cmd/p2pwall")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("lab: building p2pwall: %w\n%s", err, out)
	}
	return bin, nil
}

// WallConfig says how to run the program.
type WallConfig struct {
	Bin string // path of the program
	Dir string // for configuration, socket and state
	// Main and Protocols are options of the UCI sections. They override the lab's own: a
	// short lock time, the lab's device, sockets and files in Dir, and FastTrack blocked. A
	// protocol that is not named keeps the program's default.
	Main      map[string]string
	Protocols map[string]map[string]string
	// More is the text of further sections.
	More string
	Args []string // more arguments for "run"
	// Log gets a copy of every line of the log.
	Log io.Writer
}

// UCI returns the configuration file's text.
func (c WallConfig) UCI() string {
	main := map[string]string{
		"enabled": "1", "timelock": "2",
		"control":    filepath.Join(c.Dir, "control.sock"),
		"state_file": filepath.Join(c.Dir, "state"),
	}
	maps.Copy(main, c.Main)
	var b strings.Builder
	b.WriteString("config p2pwall 'main'\n")
	if _, ok := main["device"]; !ok {
		fmt.Fprintf(&b, "\tlist device '%s'\n", BridgeDev)
	}
	options(&b, main)
	fast := map[string]string{"mode": "block"}
	maps.Copy(fast, c.Protocols["fasttrack"])
	all := map[string]map[string]string{}
	maps.Copy(all, c.Protocols)
	all["fasttrack"] = fast
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "\nconfig protocol '%s'\n", name)
		options(&b, all[name])
	}
	b.WriteString(c.More)
	return b.String()
}

// lists are the options that UCI writes as lists. Their values are separated by spaces
// here.
var lists = map[string]bool{"device": true, "network": true, "exempt": true, "log": true}

func options(b *strings.Builder, m map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		if !lists[k] {
			fmt.Fprintf(b, "\toption %s '%s'\n", k, v)
			continue
		}
		for _, w := range strings.Fields(v) {
			fmt.Fprintf(b, "\tlist %s '%s'\n", k, w)
		}
	}
}

// LogLine is a line of the program's log and the time when it came.
type LogLine struct {
	Time time.Time
	Text string
}

// Wall is a running p2pwall.
type Wall struct {
	Control
	Config WallConfig
	File   string // configuration file

	lab  *Lab
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu     sync.Mutex
	log    []LogLine
	events []Event
}

// StartWall writes the configuration, starts the program in the router's namespace and
// waits until it answers. The lab's Close ends the program.
func (l *Lab) StartWall(cfg WallConfig) (*Wall, error) {
	w, err := l.LaunchWall(cfg)
	if err != nil {
		return nil, err
	}
	if err := w.Ready(20 * time.Second); err != nil {
		w.Kill()
		return nil, err
	}
	return w, nil
}

// LaunchWall is StartWall without waiting, for starts that should fail.
func (l *Lab) LaunchWall(cfg WallConfig) (*Wall, error) {
	file := filepath.Join(cfg.Dir, "p2pwall.conf")
	if err := os.WriteFile(file, []byte(cfg.UCI()), 0o600); err != nil {
		return nil, err
	}
	sock := filepath.Join(cfg.Dir, "control.sock")
	if s := cfg.Main["control"]; s != "" {
		sock = s
	}
	w := &Wall{lab: l, Control: Control{sock}, Config: cfg, File: file, done: make(chan struct{})}
	w.cmd = l.Router.Command(cfg.Bin, append([]string{"run", "-c", file}, cfg.Args...)...)
	// The program gets its own process group, so that a Ctrl-C at the terminal reaches
	// the lab first.
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := w.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go w.follow(pipe)
	l.OnClose(func() { w.Stop() })
	return w, nil
}

// follow reads the log until the program ends.
func (w *Wall) follow(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		w.mu.Lock()
		w.log = append(w.log, LogLine{time.Now(), s.Text()})
		w.mu.Unlock()
		if w.Config.Log != nil {
			fmt.Fprintln(w.Config.Log, s.Text())
		}
	}
	w.err = w.cmd.Wait()
	close(w.done)
}

// Ready waits until the control socket answers and the rules are in place. Then it starts
// to follow the events. It is an error if the program cannot read the state file that it
// wrote before.
func (w *Wall) Ready(patience time.Duration) error {
	end := time.Now().Add(patience)
	var last error
	for time.Now().Before(end) {
		select {
		case <-w.done:
			return fmt.Errorf("p2pwall ended at its start: %v\n%s", w.err, w.LogText())
		default:
		}
		s, err := w.Status()
		if err == nil && s.Pid == w.Pid() && s.RulesOK {
			if strings.Contains(w.LogText(), "starting empty") {
				return fmt.Errorf("p2pwall did not read its own state file:\n%s", w.LogText())
			}
			go w.Monitor(context.Background(), w.add)
			return nil
		}
		if err == nil {
			err = fmt.Errorf("pid %d answers (started: %d), rules in place: %v", s.Pid, w.Pid(), s.RulesOK)
		}
		last = err
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("p2pwall did not become ready: %w\n%s", last, w.LogText())
}

// Pid is the program's process id.
func (w *Wall) Pid() int { return w.cmd.Process.Pid }

// Signal sends a signal to the program.
func (w *Wall) Signal(s syscall.Signal) error { return w.cmd.Process.Signal(s) }

// Kill sends SIGKILL to the program and waits for its end.
func (w *Wall) Kill() {
	w.cmd.Process.Kill()
	<-w.done
}

// Stop sends SIGTERM to the program. If the program still runs after Patience, Stop makes it
// log where it hangs, kills it and returns an error.
func (w *Wall) Stop() error {
	select {
	case <-w.done:
		return nil
	default:
	}
	w.cmd.Process.Signal(syscall.SIGCONT)
	w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.done:
		return w.err
	case <-time.After(Patience):
		w.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-w.done:
		case <-time.After(5 * time.Second):
			w.Kill()
		}
		return errors.New("p2pwall did not end on SIGTERM")
	}
}

// Wait waits until the program ends and returns its exit code.
func (w *Wall) Wait(patience time.Duration) (code int, err error) {
	select {
	case <-w.done:
		return w.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, errors.New("p2pwall still runs")
	}
}

// Running reports whether the program runs.
func (w *Wall) Running() bool {
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// LogLines returns the log so far.
func (w *Wall) LogLines() []LogLine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]LogLine(nil), w.log...)
}

// LogText returns the log so far as text.
func (w *Wall) LogText() string {
	var b strings.Builder
	for _, l := range w.LogLines() {
		b.WriteString(l.Time.Format("15:04:05.000 ") + l.Text + "\n")
	}
	return b.String()
}

// ShowLog shows the end of the log if the test fails.
func (w *Wall) ShowLog(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the wall:\n%s", Tail(w.LogText(), 1000))
		}
	})
}

// add keeps an event unless it is known already.
func (w *Wall) add(e Event) {
	e.Got = time.Now()
	if w.lab.Packets != nil {
		e.At = w.lab.Packets.Now()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := sort.Search(len(w.events), func(i int) bool { return w.events[i].Seq >= e.Seq })
	if i == len(w.events) || w.events[i].Seq != e.Seq {
		w.events = slices.Insert(w.events, i, e)
	}
}

// Seen returns the events so far, oldest first. It also asks for events that came before
// the monitor connected or that the monitor missed.
func (w *Wall) Seen() []Event {
	if all, err := w.Events(0); err == nil {
		for _, e := range all {
			w.add(e)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Event(nil), w.events...)
}

// About returns the events of one kind about a host. It compares the hardware address if
// the event has one, otherwise the IP addresses.
func (w *Wall) About(h *Host, class, what string) []Event {
	var out []Event
	addr4, addr6, mac := h.Addr4.String(), h.Addr6.String(), h.MACText()
	for _, ev := range w.Seen() {
		if ev.Class != class || ev.Event != what {
			continue
		}
		about := ev.Client == addr4 || ev.Client == addr6
		if ev.MAC != "" {
			about = ev.MAC == mac
		}
		if about {
			out = append(out, ev)
		}
	}
	return out
}

// LastLock returns the last event about a host's lock: "locked", "released" or "".
func (w *Wall) LastLock(h *Host) string {
	last, seq := "", uint64(0)
	for _, what := range []string{"locked", "released"} {
		for _, ev := range w.About(h, "client", what) {
			if ev.Seq > seq {
				last, seq = what, ev.Seq
			}
		}
	}
	return last
}
