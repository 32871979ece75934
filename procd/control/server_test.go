// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func echo(req Request, r *Reply) { r.Send([]byte(`"` + req.Cmd + `"`)) }

func TestSocketMode(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := control(t, echo)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestManyRequestsOnAConnection(t *testing.T) {
	c, err := net.Dial("unix", control(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, `{"cmd":"a"}`+"\n"+`{"cmd":"b"}`+"\nx\n"+`{"cmd":"c"}`) // the last request has no newline
	c.(*net.UnixConn).CloseWrite()
	got, err := io.ReadAll(c)
	if want := "\"a\"\n\"b\"\n{\"error\":\"not a JSON object on one line\"}\n\"c\"\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "control.sock") // the server makes the directory
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	s, err := Listen(path, echo)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, path, `{"cmd":"here"}`); got != `"here"` {
		t.Errorf("got %s", got)
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

// TestListenErrors tests the error messages, and that Listen removes nothing that it
// should not.
func TestListenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	running := control(t, echo)
	busy := filepath.Join(dir, "busy")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: busy, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	waiting, derr := net.Dial("unix", busy) // fills the backlog
	if err != nil || derr != nil {
		t.Fatal(err, derr)
	}
	defer waiting.Close()
	long := filepath.Join(dir, strings.Repeat("x", 100), "s")
	for _, x := range []struct{ path, want string }{
		{file, file + ": exists and is no socket: move it away, or set \"option control\""},
		{dir, dir + ": exists and is no socket: move it away, or set \"option control\""},
		{running, running + ": another p2pwall is running and answers: stop it first"},
		{busy, busy + ": another p2pwall is running and answers: stop it first"},
		{long, long + ": the path is longer than 107 bytes"},
		{filepath.Join(file, "s"), file + "/s: mkdir " + file + ": not a directory"},
	} {
		_, err := Listen(x.path, echo)
		if err == nil || err.Error() != "control socket "+x.want {
			t.Errorf("got %v, want %s", err, x.want)
		}
		if errors.Is(err, ErrRunning) != strings.Contains(x.want, "running") {
			t.Errorf("%v is ErrRunning: %v", err, errors.Is(err, ErrRunning))
		}
	}
	if got := ask(t, running, `{"cmd":"still"}`); got != `"still"` {
		t.Errorf("the running one answers %s", got)
	}
	if b, _ := os.ReadFile(file); string(b) != "mine" {
		t.Error("the file was touched")
	}
}

func TestTooLongRequest(t *testing.T) {
	path := control(t, echo)
	got := ask(t, path, `{"cmd":"`+strings.Repeat("x", maxRequest)+`"}`)
	if want := `{"error":"the request is longer than 4096 bytes"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	fits := strings.Repeat("x", maxRequest-len(`{"cmd":""}`+"\n"))
	if got := ask(t, path, `{"cmd":"`+fits+`"}`); got != `"`+fits+`"` {
		t.Errorf("the longest request: got %s", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	release := make(chan struct{})
	var entered sync.WaitGroup
	entered.Add(maxConnections)
	path := control(t, func(req Request, r *Reply) {
		if req.Cmd == "hold" {
			entered.Done()
			<-release
		}
		r.Send([]byte(`"` + req.Cmd + `"`))
	})
	var ended sync.WaitGroup
	for range maxConnections {
		ended.Go(func() { ask(t, path, `{"cmd":"hold"}`) })
	}
	entered.Wait()
	got := ask(t, path, `{"cmd":"one more"}`)
	if want := `{"error":"too many connections to the control socket: end a monitor"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	close(release)
	ended.Wait()
	for got = ""; got != `"again"`; { // as soon as the connections have ended
		got = ask(t, path, `{"cmd":"again"}`)
	}
}

// TestSlowClients: a client that sends no request, or does not read, cannot keep its
// connection.
func TestSlowClients(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	sent := make(chan bool, 1)
	s, err := listen(path, 20*time.Millisecond, func(_ Request, r *Reply) {
		for i := 0; i < 1000 && !r.Failed(); i++ {
			r.Send(make([]byte, 100_000))
		}
		sent <- r.Failed()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	io.WriteString(silent, `{"cmd":`) // and nothing more
	if b, err := io.ReadAll(silent); err != nil || len(b) != 0 {
		t.Errorf("one who does not ask got %q, %v", b, err)
	}
	deaf, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	io.WriteString(deaf, `{"cmd":"x"}`+"\n")
	if !<-sent {
		t.Error("100 MB were sent to one who does not read")
	}
}

// TestCloseEndsConnections: Close ends a silent connection and a monitor.
func TestCloseEndsConnections(t *testing.T) {
	w := newWorld(t, 1)
	path := filepath.Join(t.TempDir(), "s")
	s, err := listen(path, time.Hour, w.Handle)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	monitor, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close()
	io.WriteString(monitor, `{"cmd":"monitor"}`+"\n")
	for w.Journal.Followers() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.Journal.Enter(found("192.168.1.40"))
	in := bufio.NewReader(monitor)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "192.168.1.40") {
		t.Errorf("the monitor got %q, %v", line, err)
	}
	s.Close() // would wait for an hour
	for name, r := range map[string]io.Reader{"silent": silent, "monitor": in} {
		if b, err := io.ReadAll(r); err != nil || len(b) != 0 {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if w.Journal.Followers() != 0 {
		t.Error("the monitor's goroutine is left")
	}
}

// TestCloseLetsRepliesEnd: a request that is being answered at the end gets its reply. A
// later one hears that nobody is there.
func TestCloseLetsRepliesEnd(t *testing.T) {
	entered := make(chan bool)
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, func(req Request, r *Reply) {
		entered <- true
		<-r.Done()
		time.Sleep(20 * time.Millisecond) // an answer takes its time
		echo(req, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, `{"cmd":"a"}`+"\n")
	<-entered
	s.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != "\"a\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	err = Call(path, []byte(`{"cmd":"b"}`+"\n"), time.Minute, func([]byte) bool { return true })
	if err == nil || !strings.HasPrefix(err.Error(), "p2pwall is not running") {
		t.Errorf("after Close: %v", err)
	}
}

// TestCallReadsToTheEnd: all lines of a reply come, the last one also without a newline,
// until the caller has enough.
func TestCallReadsToTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, "one\n\ntwo\nthree")
			c.Close()
		}
	}()
	for want, most := range map[string]int{"one||two|three|": 9, "one||two|": 3, "one|": 1} {
		got, n := "", 0
		err := Call(path, []byte("x\n"), time.Minute, func(line []byte) bool {
			got += string(line) + "|"
			n++
			return n < most
		})
		if err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

// TestLongestPath: a path of 107 bytes is the longest that the kernel takes, for the server
// and for a request.
func TestLongestPath(t *testing.T) {
	dir := t.TempDir()
	if len(dir) > 100 {
		t.Skipf("the folder for tests has a long name: %s", dir)
	}
	longest := dir + "/" + strings.Repeat("x", 107-len(dir)-1)
	s, err := Listen(longest, echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := ask(t, longest, `{"cmd":"a"}`); got != `"a"` {
		t.Errorf("got %s", got)
	}
	want := "control socket " + longest + "x: the path is longer than 107 bytes"
	if _, err := Listen(longest+"x", echo); err == nil || err.Error() != want {
		t.Errorf("a byte more: %v", err)
	}
	if err := Call(longest+"x", nil, time.Minute, nil); err == nil || err.Error() != want {
		t.Errorf("a request to it: %v", err)
	}
}

// TestCallErrors tests the error messages of Call.
func TestCallErrors(t *testing.T) {
	dir := t.TempDir()
	call := func(path string, patience time.Duration) string {
		err := Call(path, []byte("x\n"), patience, func([]byte) bool { return true })
		if err == nil {
			return ""
		}
		return err.Error()
	}
	none := filepath.Join(dir, "none")
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	hung := filepath.Join(dir, "hung") // accepts connections and never replies
	h, err := net.ListenUnix("unix", &net.UnixAddr{Name: hung, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, x := range []struct{ path, want string }{
		{none, "p2pwall is not running (no answer at " + none + "): start it, or name its configuration with -c"},
		{stale, "p2pwall is not running (no answer at " + stale + "): start it, or name its configuration with -c"},
		{hung, "the daemon does not answer: look at its log, or restart it"},
	} {
		if got := call(x.path, 50*time.Millisecond); got != x.want {
			t.Errorf("got %s, want %s", got, x.want)
		}
	}
}
