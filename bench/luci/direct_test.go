// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/p2pwall/p2pwall/procd/control"
)

// ucodeEnv names the environment variable with the command that runs ucode: the program,
// and -L with the path of its modules. The default is "ucode".
const ucodeEnv = "P2PWALL_UCODE"

// TestDirect runs the script that asks the daemon from within rpcd. The test serves the
// daemon's socket.
func TestDirect(t *testing.T) {
	ucode := strings.Fields(os.Getenv(ucodeEnv))
	if len(ucode) == 0 {
		ucode = []string{"ucode"}
	}
	if _, err := exec.LookPath(ucode[0]); err != nil {
		t.Skipf("Debian does not have the program ucode; %s names one with its modules fs and socket", ucodeEnv)
	}
	text, err := os.ReadFile(filepath.Join(root, appDir, "root/usr/share/rpcd/ucode/p2pwall.uc"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := string(text)
	for from, to := range map[string]string{
		"/var/run/p2pwall/control.sock": "sock", "/etc/config/p2pwall": "config", "/var/run/p2pwall/config": "live",
	} {
		quoted := "'" + from + "'"
		if !strings.Contains(script, quoted) {
			t.Fatalf("the script does not name %s", from)
		}
		script = strings.ReplaceAll(script, quoted, "'"+filepath.Join(dir, to)+"'")
	}
	const call = `printf('%J', loadfile(ARGV[0])()['luci.p2pwall'].page.call({ args: ARGV[1] ? { host: ARGV[1] } : {} }));`
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("p2pwall.uc", script)
	write("call.uc", call)
	write("config", "a")
	write("live", "a")
	run := func(args ...string) (string, int) {
		cmd := exec.Command(ucode[0], append(append(ucode[1:len(ucode):len(ucode)], filepath.Join(dir, "call.uc"), filepath.Join(dir, "p2pwall.uc")), args...)...)
		out, _ := cmd.Output()
		return string(out), cmd.ProcessState.ExitCode()
	}

	if out, code := run(); code != ubusTimeout || out != "" {
		t.Errorf("without a daemon: %d, %q", code, out)
	}
	long := strings.Repeat("x", 100_000)
	var silent atomic.Bool
	got := make(chan control.Request, 10)
	s, err := control.Listen(filepath.Join(dir, "sock"), func(req control.Request, r *control.Reply) {
		got <- req
		if silent.Load() {
			<-r.Done()
			return
		}
		r.Send([]byte(`{"long":"` + long + `"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"", "192.168.1.50", `"},{"`} {
		out, code := run(host)
		if want := `"long": "` + long + `" }`; code != 0 || !strings.HasSuffix(out, want) {
			t.Errorf("%q: %d, %.80q", host, code, out)
		}
		if last := <-got; last != (control.Request{Cmd: "page", Host: host}) {
			t.Errorf("%q: the daemon was asked %+v", host, last)
		}
	}
	write("live", "b")
	if out, code := run(); code != ubusNotFound || out != "" {
		t.Errorf("with a file that is not in force: %d, %q", code, out)
	}
	write("live", "a")
	silent.Store(true)
	if out, code := run(); code != ubusTimeout || out != "" {
		t.Errorf("with a silent daemon: %d, %q", code, out)
	}
	s.Close()
}
