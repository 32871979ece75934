// SPDX-License-Identifier: GPL-2.0-or-later

package outbox

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
	"github.com/p2pwall/p2pwall/procd/syslog"
)

// server is a small web server that records requests and answers as the test says.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	got    []string
	status int
	hold   chan struct{} // answers wait until this channel is closed
}

func newServer(t *testing.T) *server {
	s := &server{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		line := r.Method + " " + r.URL.String()
		for _, h := range []string{"Content-Type", "Title", "Authorization", "Injected"} {
			if v := r.Header.Get(h); v != "" {
				line += " " + h + "=" + v
			}
		}
		s.got = append(s.got, line+" "+string(body))
		hold, status := s.hold, s.status
		s.mu.Unlock()
		if hold != nil {
			<-hold
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) answer(status int) {
	s.mu.Lock()
	s.status = status
	s.mu.Unlock()
}

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// only makes the outbox find only the named programs.
func only(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip("needs the program " + name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	old := programDirs(dir)
	t.Cleanup(func() { programDirs(old...) })
	return dir
}

func newSender(t *testing.T) (*Outbox, chan struct{}) {
	done := make(chan struct{})
	return New("router", syslog.New(io.Discard), done, nil, time.Now), done
}

// children returns the child processes of this process that still exist.
func children(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		t.Skip("the kernel does not list children")
	}
	return string(b)
}

// TestPrograms sends with each program to a server that accepts the message, answers with
// an error, or does not exist. Secrets show in no argument.
func TestPrograms(t *testing.T) {
	for _, tool := range []string{"curl", "wget"} {
		t.Run(tool, func(t *testing.T) {
			only(t, tool)
			s := newServer(t)
			o, _ := newSender(t)
			l := &letter{title: "P2Pwall: test", text: `a "b" \n @c <é>`, json: `{"a":"\"\\u003c"}`}
			ntfy := &receiver{Notify: config.Notify{Kind: config.NotifyNtfy, URL: s.URL + "/topic", Token: `tk_"\x`}}
			hook := &receiver{Notify: config.Notify{Kind: config.NotifyWebhook, URL: s.URL + "/hook?a=b&c=[1-3]", User: "me", Secret: `p"w\d:e`}}
			for _, r := range []*receiver{ntfy, hook} {
				if err := o.deliver(r, l, 10*time.Second); err != nil {
					t.Errorf("%s: %v", r.Kind, err)
				}
			}
			got := s.received()
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], "%5B1-3%5D", "[1-3]") // wget escapes the brackets
			}
			want := []string{
				`POST /topic Content-Type=text/plain; charset=utf-8 Title=P2Pwall: test Authorization=Bearer tk_"\x a "b" \n @c <é>`,
				`POST /hook?a=b&c=[1-3] Content-Type=application/json Authorization=Basic bWU6cCJ3XGQ6ZQ== {"a":"\"\\u003c"}`,
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, status := range []int{500, 404, 429, 301} {
				s.answer(status)
				err := o.deliver(ntfy, l, 10*time.Second)
				if err == nil || err == errUncertain || strings.Contains(err.Error(), "tk_") {
					t.Errorf("status %d: %v", status, err)
				}
				if n := len(s.received()); n != 1 {
					t.Errorf("status %d: sent %d times", status, n)
				}
			}
			// The server is slow, but in time. Meanwhile every user can see the
			// arguments.
			s.answer(200)
			s.mu.Lock()
			s.hold = make(chan struct{})
			s.mu.Unlock()
			seen := make(chan string, 1)
			go func() {
				for range 2000 {
					time.Sleep(time.Millisecond)
					s.mu.Lock()
					n := len(s.got)
					s.mu.Unlock()
					if n > 0 {
						break
					}
				}
				all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
				text := ""
				for _, f := range all {
					b, _ := os.ReadFile(f)
					if strings.Contains(string(b), tool) {
						text += string(b) + "\n"
					}
				}
				seen <- text
				close(s.hold)
			}()
			if err := o.deliver(hook, l, 20*time.Second); err != nil {
				t.Errorf("slow: %v", err)
			}
			if text := <-seen; !strings.Contains(text, tool) || strings.Contains(text, "hook") || strings.Contains(text, `p"w`) {
				t.Errorf("the processes show %q", text)
			}
			s.received()
			// The server never answers. It is only known that the message was sent.
			s.mu.Lock()
			s.hold = make(chan struct{})
			s.mu.Unlock()
			if err := o.deliver(ntfy, l, 2*time.Second); err != errUncertain {
				t.Errorf("without an answer: %v", err)
			}
			close(s.hold)
			if n := len(s.received()); n != 1 {
				t.Errorf("without an answer it was sent %d times", n)
			}
			s.Close()
			if err := o.deliver(ntfy, l, 10*time.Second); err == nil || err == errUncertain {
				t.Errorf("with no server: %v", err)
			}
			if left := children(t); left != "" {
				t.Errorf("processes are left: %s", left)
			}
		})
	}
}

// TestEndKills: a program that still runs when the daemon ends is killed.
func TestEndKills(t *testing.T) {
	only(t, "curl")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o, done := newSender(t)
	ended := make(chan error)
	r := &receiver{Notify: config.Notify{Kind: config.NotifyNtfy, URL: "http://" + l.Addr().String()}}
	go func() { ended <- o.deliver(r, &letter{text: "x"}, time.Hour) }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	close(done)
	if err := <-ended; err == nil {
		t.Error("it was told")
	}
	if left := children(t); left != "" {
		t.Errorf("processes are left: %s", left)
	}
}

// TestQueueAgainstAServer: the server is down at first, then answers with status 500,
// then accepts the message.
func TestQueueAgainstAServer(t *testing.T) {
	only(t, "curl")
	s := newServer(t)
	s.answer(500)
	w := newWorld(t)
	w.send = w.deliver
	w.Configure([]config.Notify{{Name: "a", Kind: config.NotifyNtfy, URL: s.URL, Events: 7}, {Name: "b", Kind: config.NotifyNtfy, URL: "http://127.0.0.1:1", Events: 7}})
	for host := range byte(3) {
		w.event(0, host)
	}
	w.pass(10 * time.Minute)
	if n := len(s.received()); n < 3 {
		t.Errorf("%d tries", n)
	}
	if r := w.Receivers(); r[0].Fault != `the server answered with status "500"` || r[0].Waiting != 3 || r[1].Waiting != 3 {
		t.Errorf("receivers: %+v", r)
	}
	s.answer(200)
	w.pass(time.Hour)
	if got := s.received(); len(got) != 3 || !strings.Contains(got[0], "Title="+found) {
		t.Errorf("told: %q", got)
	}
	if got := w.Test(); got[0].Fault != "" || got[1].Fault == "" {
		t.Errorf("test: %+v", got)
	}
}

// TestMail: sendmail gets the mail on its standard input, and takes no address for an
// option.
func TestMail(t *testing.T) {
	dir := only(t)
	o, _ := newSender(t)
	file := filepath.Join(dir, "mail")
	if err := os.WriteFile(filepath.Join(dir, "sendmail"), []byte("#!/bin/sh\n/bin/cat >"+file+"\necho \"$*\" >>"+file+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &receiver{Notify: config.Notify{Kind: config.NotifyMail, To: "me@example.org", From: "router@example.org"}}
	if err := o.deliver(r, &letter{title: "P2Pwall: test", text: "é"}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file)
	want := "From: router@example.org\nTo: me@example.org\nSubject: P2Pwall: test\nAuto-Submitted: auto-generated\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\né\n-t -i\n"
	if string(got) != want {
		t.Errorf("got %q", got)
	}
}

// TestUclient: uclient-fetch gets what it supports, and no secrets.
func TestUclient(t *testing.T) {
	dir := only(t)
	o, _ := newSender(t)
	file := filepath.Join(dir, "said")
	script := "#!/bin/sh\ncase \"$*\" in *--header*) [ -e " + dir + "/old ] && { echo 'unrecognized option' >&2; exit 1; } ;; esac\n" +
		"echo \"$*\" >" + file + "\n/bin/cat /proc/self/fd/0 >>" + file + "\n"
	if err := os.WriteFile(filepath.Join(dir, "uclient-fetch"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &receiver{Notify: config.Notify{Kind: config.NotifyWebhook, URL: "http://a/b"}}
	for _, want := range []string{
		"-q -O /dev/null -T 10 --post-file=/proc/self/fd/0 --header=Content-Type: application/json http://a/b\n{}",
		"-q -O /dev/null -T 10 --post-file=/proc/self/fd/0 http://a/b\n{}",
	} {
		if err := o.deliver(r, &letter{json: "{}"}, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := os.WriteFile(filepath.Join(dir, "old"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.Token = "secret"
	if err := o.deliver(r, &letter{json: "{}"}, 10*time.Second); err == nil || !strings.Contains(err.Error(), "curl") {
		t.Errorf("with a token: %v", err)
	}
	os.Remove(filepath.Join(dir, "uclient-fetch"))
	if err := o.deliver(r, &letter{json: "{}"}, 10*time.Second); err != errNoProgram {
		t.Errorf("without a program: %v", err)
	}
}

// programDirs sets the directories for the search of programs, and returns the old ones.
func programDirs(dirs ...string) []string {
	old := append([]string{os.Getenv("PATH")}, program.Dirs...)
	os.Setenv("PATH", dirs[0])
	program.Dirs = dirs[1:]
	return old
}
