// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/procd/control"
)

// asProgram is an environment variable that makes the test binary run as the program.
const asProgram = "P2PWALL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func p2pwall(args ...string) (code int, out, errOut string) {
	var o, e strings.Builder
	code = dispatch(args, &o, &e)
	return code, o.String(), e.String()
}

// writeConfig writes a configuration whose main section has the options, and returns
// its path.
func writeConfig(t *testing.T, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p2pwall")
	text := "config p2pwall 'main'\n"
	for _, o := range options {
		text += "\t" + o + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	cfg := writeConfig(t)
	for _, x := range []struct {
		args string
		code int
		out  string // the beginning of the output; "" for none
		err  string
	}{
		{"", 2, "", "usage: p2pwall COMMAND"},
		{"help", 0, "usage: p2pwall COMMAND", ""},
		{"--help", 0, "usage: p2pwall COMMAND", ""},
		{"status -h", 0, "usage: p2pwall COMMAND", ""},
		{"version", 0, "p2pwall " + version + " (commit unknown)\n", ""},
		{"--version", 0, "p2pwall " + version + " (commit unknown)\n", ""},
		{"-version", 0, "p2pwall " + version + " (commit unknown)\n", ""},
		{"version now", 2, "", "p2pwall version: too many arguments: now\n\nusage:"},
		{"dance", 2, "", "p2pwall: unknown command \"dance\"\n\nusage:"},
		{"status --jason", 2, "", "p2pwall status: unknown option --jason\n\nusage:"},
		{"unlock --json 192.168.1.5", 2, "", "p2pwall unlock: unknown option --json\n\nusage:"},
		{"status --json=yes", 2, "", "p2pwall status: option --json takes no value\n\nusage:"},
		{"status -c", 2, "", "p2pwall status: option -c needs a value\n\nusage:"},
		{"unlock", 2, "", "p2pwall unlock: an argument is missing\n\nusage:"},
		{"exempt", 2, "", "p2pwall exempt: an argument is missing\n\nusage:"},
		{"exempt 1.2.3.4 5 6", 2, "", "p2pwall exempt: too many arguments: 6\n\nusage:"},
		{"peers a b", 2, "", "p2pwall peers: too many arguments: b\n\nusage:"},
		{"run now", 2, "", "p2pwall run: too many arguments: now\n\nusage:"},
		{"unlock nas", 1, "", "p2pwall: \"nas\" is no IP address: \"p2pwall clients\" lists them\n"},
		{"exempt 1.2.3.4 soon", 1, "", "p2pwall: \"soon\" is no number of seconds\n"},
		{"exempt 1.2.3.4 -- -5", 1, "", "p2pwall: \"-5\" is no number of seconds\n"},
		{"ctl status", 1, "", "p2pwall: not a JSON object on one line\n"},
		{"rules --backend ebtables -c " + cfg, 1, "", "p2pwall: unknown backend \"ebtables\": use nft or iptables\n"},
		{"check --config -c " + cfg, 0, "ok: " + cfg + "\n", ""},
		{"check -config -c=" + cfg, 0, "ok: " + cfg + "\n", ""},
		{"check --config -c " + cfg + "x", 2, "error: " + cfg + "x: ", ""},
	} {
		code, out, errOut := p2pwall(strings.Fields(x.args)...)
		if code != x.code {
			t.Errorf("%s: exit code %d, want %d", x.args, code, x.code)
		}
		for _, y := range []struct{ name, got, want string }{{"stdout", out, x.out}, {"stderr", errOut, x.err}} {
			if !strings.HasPrefix(y.got, y.want) || y.want == "" && y.got != "" {
				t.Errorf("%s: %s is %q, want %q", x.args, y.name, y.got, y.want)
			}
		}
	}
}

// TestCheckReportsEveryLine: check reports every wrong line, not only the first.
func TestCheckReportsEveryLine(t *testing.T) {
	path := writeConfig(t, "option timelock 'soon'", "option frobnicate '1'", "list exempt 'nobody'", "option queue '70000'")
	code, out, errOut := p2pwall("check", "--config", "-c", path)
	if code != exitUsage || errOut != "" {
		t.Errorf("exit code %d, stderr %q", code, errOut)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("got %q", out)
	}
	for i, l := range lines {
		if want := "error: " + path + ":" + string(rune('2'+i)) + ": "; !strings.HasPrefix(l, want) {
			t.Errorf("line %q, want it to begin with %q", l, want)
		}
	}
	// The same as JSON, for LuCI.
	code, out, errOut = p2pwall("check", "--json", "-c", path)
	var reply struct {
		Findings []struct{ Level, What, Remedy string }
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil || code != exitUsage || errOut != "" || len(reply.Findings) != 4 {
		t.Fatalf("--json: %d, %v, %q, %q", code, err, out, errOut)
	}
	for i, f := range reply.Findings {
		if "error: "+f.What != lines[i] || f.Level != "error" {
			t.Errorf("--json: %+v, want %s", f, lines[i])
		}
	}
	// run prints the same faults, one per line, and does not start.
	code, out, errOut = p2pwall("run", "-c", path)
	if code != exitFailure || out != "" || strings.Count(errOut, "p2pwall: "+path+":") != 4 {
		t.Errorf("run: %d, %q, %q", code, out, errOut)
	}
}

// TestRunDoesNotBegin: where run cannot work, it ends with one clear line.
func TestRunDoesNotBegin(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	off := writeConfig(t, "option enabled '0'")
	for _, x := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-c", missing}, 1, missing + ": "},
		{[]string{"-c", off}, 0, "disabled by \"option enabled\" in " + off + ": nothing to do\n"},
		{[]string{"-c", off, "--user", "no-such-user"}, 1, "there is no user no-such-user: create it, or leave --user out\n"},
		{[]string{"-c", off, "--user", "root"}, 1, "user root is root: leave --user out\n"},
	} {
		code, out, errOut := p2pwall(append([]string{"run"}, x.args...)...)
		lines := strings.SplitAfter(errOut, "\n")
		last := lines[max(len(lines)-2, 0)]
		if code != x.code || out != "" || !strings.HasPrefix(last, "p2pwall: "+x.want) {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q; want %d, %q", x.args, code, out, errOut, x.code, x.want)
		}
	}
}

// daemonStub answers at a control socket. It returns a configuration with this socket,
// and the requests that it gets.
func daemonStub(t *testing.T, answer func(control.Request) []string) (cfg string, got chan control.Request) {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "sock")
	got = make(chan control.Request, 10)
	s, err := control.Listen(sock, func(req control.Request, r *control.Reply) {
		got <- req
		for _, line := range answer(req) {
			r.Send([]byte(line))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return writeConfig(t, "option control '"+sock+"'"), got
}

func TestAsk(t *testing.T) {
	cfg, got := daemonStub(t, func(req control.Request) []string {
		switch {
		case req.Cmd == "unlock" && req.Host == "192.168.1.9":
			return []string{`{"error":"192.168.1.9 is no client that is known: \"clients\" lists them"}`}
		case req.Cmd == "peers" && !req.Text:
			return []string{`{"error":"no"}`}
		case req.Text:
			return []string{`{"text":"it is so\nand so\n"}`}
		}
		return []string{`{"ok":true}`}
	})
	for _, x := range []struct {
		args []string
		want control.Request
		code int
		out  string
		err  string
	}{
		{[]string{"status"}, control.Request{Cmd: "status", Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"status", "--json"}, control.Request{Cmd: "status"}, 0, "{\"ok\":true}\n", ""},
		{[]string{"clients", "-json"}, control.Request{Cmd: "clients"}, 0, "{\"ok\":true}\n", ""},
		{[]string{"peers", "192.168.1.5"}, control.Request{Cmd: "peers", Host: "192.168.1.5", Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"peers", "--json"}, control.Request{Cmd: "peers"}, 1, "{\"error\":\"no\"}\n", ""},
		{[]string{"unlock", "192.168.1.5"}, control.Request{Cmd: "unlock", Host: "192.168.1.5", Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"unlock", "192.168.1.9"}, control.Request{Cmd: "unlock", Host: "192.168.1.9", Text: true}, 1, "", "p2pwall: 192.168.1.9 is no client that is known: \"clients\" lists them\n"},
		{[]string{"exempt", "2001:DB8::1"}, control.Request{Cmd: "exempt", Host: "2001:db8::1", Seconds: 3600, Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"exempt", "192.168.1.5", "0"}, control.Request{Cmd: "exempt", Host: "192.168.1.5", Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"exempt", "192.168.1.5", "60"}, control.Request{Cmd: "exempt", Host: "192.168.1.5", Seconds: 60, Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"pause"}, control.Request{Cmd: "pause", Seconds: 3600, Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"pause", "0"}, control.Request{Cmd: "pause", Text: true}, 0, "it is so\nand so\n", ""},
		{[]string{"ctl", `{"cmd":"history"}`}, control.Request{Cmd: "history"}, 0, "{\"ok\":true}\n", ""},
	} {
		code, out, errOut := p2pwall(append(x.args, "-c", cfg)...)
		if req := <-got; req != x.want {
			t.Errorf("%v: the daemon got %+v, want %+v", x.args, req, x.want)
		}
		if code != x.code || out != x.out || errOut != x.err {
			t.Errorf("%v: got %d, %q, %q; want %d, %q, %q", x.args, code, out, errOut, x.code, x.out, x.err)
		}
	}
}

// TestFaultsBesideADaemon: the configuration file has got faults since the daemon read
// it.
func TestFaultsBesideADaemon(t *testing.T) {
	const reply = `{"version":"1","devices":[]}`
	cfg, _ := daemonStub(t, func(req control.Request) []string {
		switch {
		case req.Text:
			return []string{`{"text":"all is well\n"}`}
		case req.Cmd == "page":
			return []string{`{"error":"it is too much"}`}
		}
		return []string{reply}
	})
	good, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, out, _ := p2pwall("status", "--json", "-c", cfg); out != reply+"\n" {
		t.Errorf("with a good file: %q", out)
	}
	if err := os.WriteFile(cfg, append(good, "\toption timelock 'soon'\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	const fault = `FILE:3: bad value \"soon\" for timelock, use seconds from 0 to 86400`
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "all is well\nFAULT    " + strings.ReplaceAll(fault, `\`, "") + "\nFAULT    the configuration is not in force: the daemon goes on with the one before\n"},
		{[]string{"status", "--json"}, strings.TrimSuffix(reply, "}") + `,"faults":["` + fault + "\"]}\n"},
		{[]string{"ctl", `{"cmd":"status"}`}, strings.TrimSuffix(reply, "}") + `,"faults":["` + fault + "\"]}\n"},
		{[]string{"ctl", `{"cmd":"page"}`}, "{\"error\":\"it is too much\"}\n"},
		{[]string{"ctl", `{"cmd":"clients"}`}, reply + "\n"},
	} {
		_, out, errOut := p2pwall(append(x.args, "-c", cfg)...)
		if got := strings.ReplaceAll(out, cfg, "FILE"); got != x.want || errOut != "" {
			t.Errorf("%v: %q, %q, want %q", x.args, got, errOut, x.want)
		}
	}
}

func TestMonitorPrintsUntilTheDaemonEnds(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "sock")
	var s *control.Server
	ready := make(chan struct{})
	s, err := control.Listen(sock, func(_ control.Request, r *control.Reply) {
		<-ready
		r.Send([]byte(`{"text":"one"}`))
		r.Send([]byte(`{"text":"two"}`))
		go s.Close()
		<-r.Done()
	})
	close(ready)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errOut := p2pwall("monitor", "-c", writeConfig(t, "option control '"+sock+"'"))
	if code != exitFailure || out != "one\ntwo\n" || errOut != "p2pwall: the daemon has ended\n" {
		t.Errorf("got %d, %q, %q", code, out, errOut)
	}
}

func TestNoDaemon(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "sock")
	cfg := writeConfig(t, "option control '"+sock+"'")
	for _, cmd := range []string{"status", "monitor", "clients"} {
		code, out, errOut := p2pwall(cmd, "-c", cfg)
		want := "p2pwall: p2pwall is not running (no answer at " + sock + "): start it, or name its configuration with -c\n"
		if code != exitFailure || out != "" || errOut != want {
			t.Errorf("%s: got %d, %q, %q; want %q", cmd, code, out, errOut, want)
		}
	}
}
