// SPDX-License-Identifier: GPL-2.0-or-later

package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
