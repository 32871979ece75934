// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// daemonProcess is a daemon in its own network namespace. The loopback device is its LAN,
// and it has no rules.
type daemonProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    lockedBuffer
	config string
	ready  *net.UnixConn
	ended  chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon starts "run" with more arguments, and waits until the daemon is ready.
func startDaemon(t *testing.T, config string, args ...string) *daemonProcess {
	t.Helper()
	d := launchDaemon(t, config, args...)
	d.hear("READY=1")
	return d
}

func launchDaemon(t *testing.T, config string, args ...string) *daemonProcess {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a network namespace and a kernel queue")
	}
	d := &daemonProcess{t: t, config: config, ended: make(chan error, 1)}
	sock := filepath.Join(openDir(t), "notify")
	var err error
	d.ready, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: sock, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.ready.Close() })
	if err := os.Chmod(sock, 0o777); err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command("/proc/self/exe", append([]string{"run", "-c", config, "--no-rules"}, args...)...)
	d.cmd.Env = append(os.Environ(), asProgram+"=1", "NOTIFY_SOCKET="+sock, "GORACE=atexit_sleep_ms=0")
	d.cmd.Stderr = &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- d.cmd.Wait() }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log.String())
		}
	})
	return d
}

// says reports whether the daemon logs the text. It waits, because the line may still be
// in the pipe.
func (d *daemonProcess) says(want string) bool {
	for range 2000 {
		if strings.Contains(d.log.String(), want) {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// openDir returns a directory that every user may enter and write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, x := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(x, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hear waits for a message from the daemon to systemd.
func (d *daemonProcess) hear(want string) {
	d.t.Helper()
	d.ready.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1024)
	n, err := d.ready.Read(b)
	got, _, _ := strings.Cut(string(b[:n]), "\n")
	if err != nil || got != want {
		d.t.Fatalf("the service manager heard %q, %v; want %q\n%s", got, err, want, d.log.String())
	}
}

// end waits until the daemon ends, and returns its exit code and its log.
func (d *daemonProcess) end() (int, string) {
	d.t.Helper()
	select {
	case err := <-d.ended:
		d.ended <- err
	case <-time.After(time.Minute):
		d.t.Fatal("the daemon does not end")
	}
	return d.cmd.ProcessState.ExitCode(), d.log.String()
}

func (d *daemonProcess) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// stop ends the daemon with SIGTERM and expects exit code 0.
func (d *daemonProcess) stop() string {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	d.hear("STOPPING=1")
	code, log := d.end()
	if code != exitOK || !strings.Contains(log, "p2pwall: ending: terminated\n") {
		d.t.Errorf("exit code %d", code)
	}
	return log
}

func (d *daemonProcess) status() map[string]any {
	d.t.Helper()
	code, out, errOut := p2pwall("status", "--json", "-c", d.config)
	var s map[string]any
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil {
		d.t.Fatalf("status: %d, %v, %q, %q", code, err, out, errOut)
	}
	return s
}

// place makes a directory, and a configuration that puts all files there.
func place(t *testing.T, more ...string) (dir, cfg string) {
	dir = openDir(t)
	options := []string{
		"list device 'lo'", "option control '" + dir + "/control.sock'", "option state_file '" + dir + "/state'",
	}
	cfg = writeConfig(t, append(options, more...)...)
	for x := filepath.Dir(cfg); x != os.TempDir(); x = filepath.Dir(x) {
		if err := os.Chmod(x, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, cfg
}

func TestDaemon(t *testing.T) {
	dir, cfg := place(t, "option queues '2'")
	d := startDaemon(t, cfg)
	s := d.status()
	if s["backend"] != "none (--no-rules)" || s["pid"] != float64(d.cmd.Process.Pid) || len(s["queues"].([]any)) != 2 {
		t.Errorf("status: %v", s)
	}
	if !slices.Equal(s["devices"].([]any), []any{"lo"}) {
		t.Errorf("devices: %v", s["devices"])
	}

	// A second daemon with the same socket logs an error and leaves the first one alone.
	_, log := launchDaemon(t, cfg).end()
	if want := "p2pwall: control socket " + dir + "/control.sock: another p2pwall is running and answers: stop it first\n"; log != want {
		t.Errorf("the second one said %q, want %q", log, want)
	}
	d.status()

	// A reload with a bad configuration changes nothing.
	good, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		t.Helper()
		if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		d.signal(syscall.SIGHUP)
		d.hear("RELOADING=1")
		d.hear("READY=1")
	}
	reload(string(good) + "\toption timelock 'soon'\n")
	if want := cfg + ":6: "; !d.says(want) || !d.says("the old one stays in force") {
		t.Errorf("no %q in the log", want)
	}
	reload(string(good) + "\toption enabled '0'\n")
	if want := "\"option enabled\" is off: stop the service instead"; !d.says(want) {
		t.Errorf("no %q in the log", want)
	}
	reload(strings.Replace(string(good), "'lo'", "'p2pw-none'", 1) + "\toption timelock '99'\n\toption max_clients '7'\n\toption mark '0x700'\n")
	if got := d.status()["timelock"]; got != 99.0 {
		t.Errorf("timelock %v after a reload", got)
	}
	for _, name := range []string{"max_clients", "mark"} {
		if want := "option " + name + " takes effect with the next start"; !d.says(want) {
			t.Errorf("no %q in the log", want)
		}
	}
	if got := d.status()["restart"].([]any); !slices.Equal(got, []any{"max_clients", "mark"}) {
		t.Errorf("a restart is needed for %v", got)
	}
	if want := "device p2pw-none is not there"; !d.says(want) { // with the next check of the devices
		t.Errorf("no %q in the log", want)
	}
	d.stop()
	if _, err := os.Lstat(dir + "/control.sock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	for _, f := range []string{"state", "state.1", "state.events"} {
		if info, err := os.Stat(dir + "/" + f); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

// TestNoLAN: a daemon that knows no device waits for a configuration that names one.
func TestNoLAN(t *testing.T) {
	dir := openDir(t)
	control := "option control '" + dir + "/control.sock'"
	cfg := writeConfig(t, "list network 'lan'", control, "option state_file 'off'", "option devices_file '"+dir+"/devices'")
	d := startDaemon(t, cfg)
	want := "p2pwall: no device is known for network lan: nothing is watched; name a device with \"list device\" (Debian), " +
		"or a network of /etc/config/network with \"list network\" (OpenWrt), in " + cfg + " and reload\n"
	if !d.says(want) || !d.says("watching nothing") {
		t.Errorf("no %q in the log", want)
	}
	if got := d.status()["devices"].([]any); len(got) != 0 {
		t.Errorf("devices: %v", got)
	}
	reload := func() {
		d.signal(syscall.SIGHUP)
		d.hear("RELOADING=1")
		d.hear("READY=1")
	}
	reload() // logs nothing new
	if err := os.WriteFile(dir+"/devices", []byte("lan lo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reload()
	if got := d.status()["devices"].([]any); !slices.Equal(got, []any{"lo"}) {
		t.Errorf("devices: %v", got)
	}
	if log := d.stop(); strings.Count(log, "nothing is watched") != 1 {
		t.Error("it is not said once")
	}
}

// TestStateFile: with a file that cannot be used the daemon logs a clear line and runs.
// It keeps the file for inspection.
func TestStateFile(t *testing.T) {
	dir, cfg := place(t)
	startDaemon(t, cfg).stop()
	good, err := os.ReadFile(dir + "/state")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)/2] ^= 1
	foreign := bytes.Clone(good)
	foreign[7] = 99
	for _, x := range []struct {
		name string
		file []byte
		want string // in the log; "" for no line
	}{
		{"good", good, ""},
		{"damaged", damaged, "damaged: wrong checksum: moved to STATE.damaged, starting empty"},
		{"truncated", good[:len(good)-1], "damaged: " + strconv.Itoa(len(good)-17) + " bytes of " + strconv.Itoa(len(good)-16) + ": moved to STATE.damaged, starting empty"},
		{"empty", nil, "damaged: it does not begin as a state file: moved to STATE.damaged, starting empty"},
		{"foreign", foreign, "written by another version (99, this one reads 7): moved to STATE.damaged, starting empty"},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir, cfg := place(t)
			path := dir + "/state"
			if err := os.WriteFile(path, x.file, 0o600); err != nil {
				t.Fatal(err)
			}
			d := startDaemon(t, cfg)
			d.status()
			log := d.stop()
			if want := "p2pwall: state file " + path + ": " + strings.ReplaceAll(x.want, "STATE", path) + "\n"; x.want != "" && !strings.Contains(log, want) {
				t.Errorf("no %q in the log", want)
			}
			if x.want == "" {
				if strings.Contains(log, "state file") {
					t.Error("the log speaks of the state file")
				}
				return
			}
			if b, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(b, x.file) {
				t.Errorf("what was set aside: %d bytes, %v", len(b), err)
			}
			if b, err := os.ReadFile(path); err != nil || len(b) < 16 {
				t.Errorf("what was written at the end: %d bytes, %v", len(b), err)
			}
		})
	}
}

// TestStateFileCannotBeUsed: the file can be neither read nor written.
func TestStateFileCannotBeUsed(t *testing.T) {
	for _, x := range []struct {
		name, path string // below the test's directory
		make       func(dir string) error
	}{
		{"a directory", "state", func(dir string) error { return os.Mkdir(dir+"/state", 0o755) }},
		{"below a file", "file/state", func(dir string) error { return os.WriteFile(dir+"/file", nil, 0o600) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := openDir(t)
			cfg := writeConfig(t, "list device 'lo'", "option control '"+dir+"/control.sock'", "option state_file '"+dir+"/"+x.path+"'")
			if err := x.make(dir); err != nil {
				t.Fatal(err)
			}
			d := startDaemon(t, cfg)
			d.status()
			log := d.stop()
			for _, want := range []string{": starting empty\n", ": locks will not survive a restart\n"} {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in the log", want)
				}
			}
		})
	}
}

// TestSuccessor: SIGUSR2 ends the daemon as for a restart.
func TestSuccessor(t *testing.T) {
	_, cfg := place(t)
	d := startDaemon(t, cfg)
	d.signal(syscall.SIGUSR2)
	d.hear("STOPPING=1")
	if code, log := d.end(); code != exitOK || !strings.Contains(log, "ending for a successor: rules and sets stay\n") {
		t.Errorf("exit code %d", code)
	}
}

// TestEarlySignal: a signal during the start ends the daemon cleanly.
func TestEarlySignal(t *testing.T) {
	dir, cfg := place(t)
	d := launchDaemon(t, cfg)
	for {
		if _, err := os.Lstat(dir + "/control.sock"); err == nil {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	d.signal(syscall.SIGTERM)
	if code, log := d.end(); code != exitOK || !strings.HasSuffix(log, "p2pwall: ending: terminated\n") {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Lstat(dir + "/control.sock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestNoPrivileges: the errors tell an ordinary user what is missing.
func TestNoPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to become somebody else")
	}
	_, cfg := place(t)
	for _, x := range []struct{ option, want string }{
		{"--no-rules", "queue 214: no permission: run as root or with CAP_NET_ADMIN: "},
		{"--user=nobody", "only root can become user nobody: start as root, or leave --user out\n"},
	} {
		cmd := exec.Command("/proc/self/exe", "run", "-c", cfg, x.option)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "p2pwall: "+x.want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %q; want %q", x.option, err, out, x.want)
		}
	}
}

// TestUser: with --user the daemon runs as that user. It has only two capabilities, and
// passes them on to the programs it runs.
func TestUser(t *testing.T) {
	_, cfg := place(t)
	d := startDaemon(t, cfg, "--user", "nobody")
	b, err := os.ReadFile("/proc/" + strconv.Itoa(d.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	const netAdminAndRaw = "0000000000003000"
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534", "CapPrm:\t" + netAdminAndRaw, "CapEff:\t" + netAdminAndRaw,
		"CapAmb:\t" + netAdminAndRaw, "NoNewPrivs:\t1",
	} {
		if !strings.Contains(string(b), want+"\n") {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	d.status()
	d.stop()
}

// TestUserKeepsItsLog: the program that runs on as another user keeps the option --log.
func TestUserKeepsItsLog(t *testing.T) {
	_, cfg := place(t)
	d := startDaemon(t, cfg, "--user", "nobody", "--log", "journal")
	d.signal(syscall.SIGTERM)
	d.hear("STOPPING=1")
	code, log := d.end()
	if code != exitOK || !strings.HasPrefix(log, "<6>version ") || !strings.HasSuffix(log, "\n<6>ending: terminated\n") {
		t.Errorf("exit code %d, log %q", code, log)
	}
	if code, _, errOut := p2pwall("run", "-c", cfg, "--log", "paper"); code != exitFailure || !strings.Contains(errOut, "unknown kind of log") {
		t.Errorf("an unknown kind: %d, %q", code, errOut)
	}
}
