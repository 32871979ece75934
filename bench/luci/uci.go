// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// UCI emulates rpcd's object uci: packages with sections, pending changes, and commit.
type UCI struct {
	// Committed is called with a package's name when its file has changed, like a
	// reload trigger of procd.
	Committed func(name string)

	mu       sync.Mutex
	files    map[string]string // package: file
	packages map[string][]*section
	waiting  map[string][][]string // package: the pending changes in the form of uci.changes
	made     int                   // how many sections were added without a name
}

type section struct {
	typ, name string
	anonymous bool
	options   []option
}

// option holds a string or a []string.
type option struct {
	name  string
	value any
}

func (s *section) set(name string, value any) {
	for i := range s.options {
		if s.options[i].name == name {
			s.options[i].value = value
			return
		}
	}
	s.options = append(s.options, option{name, value})
}

func (s *section) remove(name string) {
	for i := range s.options {
		if s.options[i].name == name {
			s.options = append(s.options[:i], s.options[i+1:]...)
			return
		}
	}
}

// NewUCI reads the packages from their files.
func NewUCI(files map[string]string) (*UCI, error) {
	u := &UCI{files: files, packages: map[string][]*section{}, waiting: map[string][][]string{}}
	for name := range files {
		if err := u.read(name); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// read reads a package's file. It knows only the form that uci writes.
func (u *UCI) read(name string) error {
	text, err := os.ReadFile(u.files[name])
	if err != nil {
		return err
	}
	var sections []*section
	for _, line := range strings.Split(string(text), "\n") {
		w := words(line)
		switch {
		case len(w) == 0:
		case w[0] == "config" && len(w) > 1:
			s := &section{typ: w[1], anonymous: len(w) == 2, name: fmt.Sprintf("cfg%02x", len(sections)+1)}
			if len(w) == 3 {
				s.name = w[2]
			}
			sections = append(sections, s)
		case w[0] == "option" && len(w) == 3 && len(sections) > 0:
			sections[len(sections)-1].set(w[1], w[2])
		case w[0] == "list" && len(w) == 3 && len(sections) > 0:
			s := sections[len(sections)-1]
			old, _ := s.get(w[1]).([]string)
			s.set(w[1], append(old, w[2]))
		default:
			return fmt.Errorf("%s: cannot read %q", u.files[name], line)
		}
	}
	u.packages[name] = sections
	return nil
}

func (s *section) get(name string) any {
	for _, o := range s.options {
		if o.name == name {
			return o.value
		}
	}
	return nil
}

// words splits a line into words. It knows single quotes only.
func words(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		end := strings.IndexAny(line, " \t")
		if line[0] == '\'' {
			line = line[1:]
			end = strings.IndexByte(line, '\'')
		}
		if end < 0 {
			return append(out, line)
		}
		out = append(out, line[:end])
		line = line[end+1:]
	}
	return out
}

func (u *UCI) write(name string) error {
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	for _, s := range u.packages[name] {
		fmt.Fprintf(&b, "config %s", s.typ)
		if !s.anonymous {
			b.WriteString(" " + quote(s.name))
		}
		b.WriteByte('\n')
		for _, o := range s.options {
			switch v := o.value.(type) {
			case string:
				fmt.Fprintf(&b, "\toption %s %s\n", o.name, quote(v))
			case []string:
				for _, x := range v {
					fmt.Fprintf(&b, "\tlist %s %s\n", o.name, quote(x))
				}
			}
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(u.files[name], []byte(b.String()), 0o600)
}

// Get returns an option as strings, nil if there is none.
func (u *UCI) Get(pkg, sec, opt string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.section(pkg, sec); s != nil {
		switch v := s.get(opt).(type) {
		case string:
			return []string{v}
		case []string:
			return v
		}
	}
	return nil
}

func (u *UCI) section(pkg, name string) *section {
	for _, s := range u.packages[pkg] {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Sections returns the names of the sections of a type, in their order.
func (u *UCI) Sections(pkg, typ string) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range u.packages[pkg] {
		if s.typ == typ {
			names = append(names, s.name)
		}
	}
	return names
}

// Commit writes the pending changes of a package, or of all packages if name is "".
func (u *UCI) Commit(name string) error {
	u.mu.Lock()
	var done []string
	for pkg := range u.waiting {
		if name == "" || name == pkg {
			if err := u.write(pkg); err != nil {
				u.mu.Unlock()
				return err
			}
			delete(u.waiting, pkg)
			done = append(done, pkg)
		}
	}
	u.mu.Unlock()
	for _, pkg := range done {
		if u.Committed != nil {
			u.Committed(pkg)
		}
	}
	return nil
}

// Status codes of ubus.
const (
	ubusOK             = 0
	ubusInvalidMethod  = 3
	ubusInvalidValue   = 2
	ubusNotFound       = 4
	ubusNoData         = 5
	ubusDenied         = 6
	ubusTimeout        = 7
	ubusUnknownProblem = 9
)

// call is a method of the object uci.
func (u *UCI) call(method string, args map[string]any) (any, int) {
	pkg, _ := args["config"].(string)
	name, _ := args["section"].(string)
	if method == "commit" || method == "apply" {
		if err := u.Commit(pkg); err != nil {
			return nil, ubusUnknownProblem
		}
		return nil, ubusOK
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch method {
	case "confirm", "order":
		return nil, ubusOK
	case "changes":
		return map[string]any{"changes": u.waiting}, ubusOK
	}
	if _, ok := u.files[pkg]; !ok {
		return nil, ubusNotFound
	}
	values, _ := args["values"].(map[string]any)
	s := u.section(pkg, name)
	switch method {
	case "get":
		return map[string]any{"values": u.values(pkg)}, ubusOK
	case "add":
		typ, _ := args["type"].(string)
		name, _ = args["name"].(string)
		anonymous := name == ""
		if anonymous {
			u.made++
			name = fmt.Sprintf("cfg%02xffff", u.made)
		}
		s = &section{typ: typ, name: name, anonymous: anonymous}
		u.packages[pkg] = append(u.packages[pkg], s)
		u.note(pkg, "add", name, typ)
	case "set":
		if s == nil {
			return nil, ubusNotFound
		}
	case "delete":
		if s == nil {
			return nil, ubusNotFound
		}
		options, some := args["options"].([]any)
		if !some {
			u.packages[pkg] = slices.DeleteFunc(u.packages[pkg], func(x *section) bool { return x == s })
			u.note(pkg, "remove", name)
			return nil, ubusOK
		}
		for _, o := range options {
			s.remove(fmt.Sprint(o))
			u.note(pkg, "remove", name, fmt.Sprint(o))
		}
		return nil, ubusOK
	default:
		return nil, ubusInvalidMethod
	}
	for k, v := range values {
		switch v := v.(type) {
		case []any:
			var list []string
			for _, x := range v {
				list = append(list, fmt.Sprint(x))
			}
			s.set(k, list)
		default:
			s.set(k, fmt.Sprint(v))
		}
		u.note(pkg, "set", name, k, fmt.Sprint(v))
	}
	return map[string]any{"section": s.name}, ubusOK
}

func (u *UCI) note(pkg string, change ...string) { u.waiting[pkg] = append(u.waiting[pkg], change) }

func (u *UCI) values(pkg string) map[string]any {
	out := map[string]any{}
	for i, s := range u.packages[pkg] {
		v := map[string]any{".type": s.typ, ".name": s.name, ".anonymous": s.anonymous, ".index": i}
		for _, o := range s.options {
			v[o.name] = o.value
		}
		out[s.name] = v
	}
	return out
}
