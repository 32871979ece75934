// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scan renders the sections and faults of a text in one fixed form.
func scan(text string) (out []string, errs []string) {
	s := &scanner{file: "f", text: text, line: 1}
	for _, sec := range s.sections() {
		out = append(out, "config "+sec.typ+"/"+sec.name)
		for _, o := range sec.options {
			k := "option"
			if o.list {
				k = "list"
			}
			out = append(out, k+" "+o.name+"="+strings.Join(o.values, "|"))
		}
	}
	for _, e := range s.errs {
		errs = append(errs, e.Error())
	}
	return out, errs
}

func TestUCISyntax(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"comments", "# a\n\n  # b\nconfig a # c\n", []string{"config a/"}},
		{"unnamed and named", "config a\nconfig b 'n'\n", []string{"config a/", "config b/n"}},
		{"single quotes take all", `config a` + "\n" + `option x 'a\n"#;b'`, []string{"config a/", `option x=a\n"#;b`}},
		{"double quotes know the backslash", `config a` + "\n" + `option x "a\"b\\c'#"`, []string{"config a/", `option x=a"b\c'#`}},
		{"bare words", "config a\noption x a\\ b\n", []string{"config a/", "option x=a b"}},
		{"quotes within a word", "config a\noption x a'b c'\"d\"\n", []string{"config a/", "option x=ab cd"}},
		{"an escaped single quote as uci writes it", `config a` + "\n" + `option x 'it'\''s'`, []string{"config a/", "option x=it's"}},
		{"a comment within a word", "config a\noption x b#c\n", []string{"config a/", "option x=b"}},
		{"continued word", "config a\noption x a\\\nb\n", []string{"config a/", "option x=ab"}},
		{"continued line", "config a\noption x \\\n  b\n", []string{"config a/", "option x=b"}},
		{"continued in double quotes", "config a\noption x \"a\\\nb\"\n", []string{"config a/", "option x=ab"}},
		{"newline in quotes", "config a\noption x 'a\nb'\n", []string{"config a/", "option x=a\nb"}},
		{"semicolons", "config a; option x 1; option y 2", []string{"config a/", "option x=1", "option y=2"}},
		{"short commands", "c a n\no x 1\nl y 2\n", []string{"config a/n", "option x=1", "list y=2"}},
		{"CRLF", "config a\r\noption x 'b'\r\n", []string{"config a/", "option x=b"}},
		{"package", "package p2pwall\nconfig a\n", []string{"config a/"}},
		{"no value", "config a\noption x\n", []string{"config a/", "option x="}},
		{"no newline at the end", "config a\noption x b", []string{"config a/", "option x=b"}},
		{"the last option wins", "config a\noption x 1\noption x 2\n", []string{"config a/", "option x=2"}},
		{"a list grows", "config a\nlist x 1\nlist x 2\n", []string{"config a/", "list x=1|2"}},
		{"an option becomes a list", "config a\noption x 1\nlist x 2\n", []string{"config a/", "list x=1|2"}},
		{"a list becomes an option", "config a\nlist x 1\noption x 2\n", []string{"config a/", "option x=2"}},
		{
			"a section goes on", "config a n\noption x 1\nconfig a m\nconfig a n\noption y 2\n",
			[]string{"config a/m", "config a/n", "option x=1", "option y=2"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, errs := scan(c.in)
			if errs != nil {
				t.Errorf("errors %q", errs)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUCISyntaxErrors(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"option first", "option x 1\n", "f:1: an option before the first section"},
		{"unknown command", "config a\n\nfoo b\n", `f:3: unknown command "foo"`},
		{"section name", "config a 'b-c'\noption x 1\n", `f:1: the section name "b-c"`},
		{"option name", "config a\noption b-c 1\n", `f:2: the option name "b-c"`},
		{"too many words", "config a\noption x 1 2\n", `f:2: "option" takes a name and one value`},
		{"config without a type", "config\n", `f:1: "config" takes a type and a name`},
		{"single quote left open", "config a\noption x 'b\nc\n", "f:2: a quote that is opened here is never closed, add the closing '"},
		{"double quote left open", "config a\noption x \"b\\", "f:2: a quote that is opened here is never closed, add the closing \""},
		{"type changes", "config a n\nconfig b n\n", `f:2: the section "n" was of the type "a" before`},
		{"lines are counted through quotes", "config a\noption x 'b\n\nc'\nfoo\n", `f:5: unknown command "foo"`},
		{"lines are counted through continuations", "config a\noption x b\\\nc \\\n\nfoo\n", `f:5: unknown command "foo"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := scan(c.in)
			if len(errs) != 1 || !strings.HasPrefix(errs[0], c.want) {
				t.Errorf("got %q, want one starting with %q", errs, c.want)
			}
		})
	}
}
