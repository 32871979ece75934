// SPDX-License-Identifier: GPL-2.0-or-later

package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(dir, "asked"), []byte("#!/bin/sh\n"+
		"case $1 in\n"+
		"say) cat; echo \"$2 $LC_ALL\" ;;\n"+
		"complain) echo shown; printf 'one\\n  two\\nthree\\nfour\\n' >&2; exit 3 ;;\n"+
		"fail) exit 4 ;;\n"+
		"esac\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		input, name string
		args        []string
		out, err    string
	}{
		{"input\n", "asked", []string{"say", "words"}, "input\nwords C\n", ""},
		{"", "asked", []string{"say", ""}, " C\n", ""},
		{"", "asked", []string{"complain"}, "shown\n", "asked: one; two; three"},
		{"", "asked", []string{"fail"}, "", "asked: exit status 4"},
		{"", "text", nil, "", "text: not found"},
		{"", "no-such-program", nil, "", "no-such-program: not found"},
	} {
		out, err := Run(c.input, c.name, c.args...)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if out != c.out || said != c.err {
			t.Errorf("%s %q: %q and %q, want %q and %q", c.name, c.args, out, said, c.out, c.err)
		}
		if missing := strings.HasSuffix(c.err, "not found"); errors.Is(err, ErrMissing) != missing || Have(c.name) == missing {
			t.Errorf("%s: error %v, there: %v", c.name, err, Have(c.name))
		}
	}
}

// TestStart: programs run side by side, and a program that nobody waits for runs on.
func TestStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	a := Start("", "sh", "-c", "until [ -e '"+file+"' ]; do sleep 0.01; done; echo a")
	b := Start("", "sh", "-c", "echo >'"+file+"'")
	b.Leave()
	if out, err := a.Wait(); out != "a\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	gone := errors.New("it was not to be")
	if _, err := Failed(gone).Wait(); err != gone {
		t.Errorf("error %v", err)
	}
}

// TestSame: a link leads to the same file, a copy is another one.
func TestSame(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{"multi", "copy"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("multi", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, of string
		want     bool
	}{{"link", "multi", true}, {"copy", "multi", false}, {"missing", "multi", false}, {"link", "missing", false}} {
		if got := Same(tt.name, tt.of); got != tt.want {
			t.Errorf("%s and %s: %v", tt.name, tt.of, got)
		}
	}
}

// TestFind: a program is found in PATH and in the system's directories. What is no program,
// or lies in a directory that depends on where p2pwall was started, is not.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("tool", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, name string
		want       string // "" if it is not found
	}{
		{dir, "tool", dir + "/tool"},
		{"/nonexistent:" + dir, "tool", dir + "/tool"},
		{".:", "tool", ""},
		{dir, "folder", ""},
		{"", "tool", ""},
	} {
		t.Setenv("PATH", c.path)
		got, err := Find(c.name)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s with PATH=%s: %q, %v", c.name, c.path, got, err)
		}
	}
	t.Setenv("PATH", "")
	if got, err := Find("sh"); err != nil || !strings.HasSuffix(got, "/sh") {
		t.Errorf("sh without PATH: %q, %v", got, err)
	}
}

// TestInputs: the first input is the standard input, the others follow from 3 on. No length of
// input or output blocks the program.
func TestInputs(t *testing.T) {
	out, err := StartFor(time.Minute, []string{"a\n", "b\n", "", "c\n"}, "sh", "-c", "cat <&5; cat <&4; cat <&3; cat").Wait()
	if out != "c\nb\na\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	const limit = 1 << 20
	long := strings.Repeat("0123456789abcdef", 3*limit/16)
	out, err = StartFor(time.Minute, []string{long}, "cat").Wait()
	if err != nil || len(out) < limit || len(out) > limit+4096 || !strings.HasPrefix(long, out) {
		t.Errorf("%d bytes of output, %v", len(out), err)
	}
}

// TestKill ends a program together with what it has started, which has the same output. Else
// Wait would go on until that ends.
func TestKill(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := StartFor(time.Minute, []string{""}, "sh", "-c", "sleep 1000 & echo started >'"+fifo+"'; wait")
	if text, err := os.ReadFile(fifo); err != nil || string(text) != "started\n" {
		t.Fatalf("%q, %v", text, err)
	}
	p.Kill()
	if out, err := p.Wait(); out != "" || err == nil || err.Error() != "sh: signal: killed" {
		t.Errorf("%q, %v", out, err)
	}
	Failed(errors.New("no")).Kill() // does nothing
}

// TestTooLong: a program that does not end is ended, and the error says so.
func TestTooLong(t *testing.T) {
	_, err := StartFor(20*time.Millisecond, []string{""}, "sh", "-c", "sleep 1000; echo no").Wait()
	if want := "sh took longer than 20ms and was ended"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestOwnGroup: an interrupt from the terminal, which all of p2pwall's group gets, does not
// stop a program half way.
func TestOwnGroup(t *testing.T) {
	out, err := Run("", "sh", "-c", "read -r pid name state parent group rest </proc/$$/stat; echo $((pid - group))")
	if out != "0\n" || err != nil {
		t.Errorf("process and group differ by %q, %v", out, err)
	}
}

// TestErrorTexts: an error names the program once, has the first three lines that it said, and
// never more than one line.
func TestErrorTexts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ script, want string }{
		{"echo 'sh: no table' >&2; exit 1", "sh: no table"},
		{"echo 'no table' >&2; exit 1", "sh: no table"},
		{"printf '\\n\\n a\\n\\n\\tb\\nc\\n' >&2; exit 1", "sh: a; ; b"},
		{"echo said on the wrong side; exit 1", "sh: exit status 1"},
		{"kill -9 $$", "sh: signal: killed"},
		{"echo all is well >&2", ""},
	} {
		said := ""
		if _, err := Run("", "sh", "-c", c.script); err != nil {
			said = err.Error()
		}
		if said != c.want {
			t.Errorf("%s: %q, want %q", c.script, said, c.want)
		}
	}
	if _, err := Run("", "broken"); err == nil || !strings.HasPrefix(err.Error(), "broken: ") || !strings.HasSuffix(err.Error(), "exec format error") {
		t.Errorf("a file that is no program: %v", err)
	}
}
