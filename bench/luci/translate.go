// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// ReadPO returns the entries of a gettext catalog: the translation for each text, "" if
// there is none.
func ReadPO(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var id, str string
	var current *string
	flush := func() {
		if id != "" {
			out[id] = str
		}
		id, str = "", ""
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "msgid "):
			flush()
			current, line = &id, line[len("msgid "):]
		case strings.HasPrefix(line, "msgstr "):
			current, line = &str, line[len("msgstr "):]
		}
		part, err := strconv.Unquote(line)
		if err != nil || current == nil {
			return nil, fmt.Errorf("%s:%d: not an entry: %s", file, i+1, line)
		}
		*current += part
	}
	flush()
	return out, nil
}

// A Message is a text to translate, and the files that have it.
type Message struct {
	Text  string
	Files []string
}

var (
	inScript = regexp.MustCompile(`\b_\('((?:[^'\\]|\\.)*)'\)`)
	inJSON   = regexp.MustCompile(`"(?:title|description)": ("(?:[^"\\]|\\.)*")`)
)

// Messages collects the app's texts to translate: the arguments of _() in the scripts, the
// titles in the menu, and the description in the access list.
func Messages(root string) ([]Message, error) {
	app := filepath.Join(root, appDir)
	found := map[string][]string{}
	err := filepath.WalkDir(app, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		how := map[string]*regexp.Regexp{".js": inScript, ".json": inJSON}[filepath.Ext(file)]
		if how == nil {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(app, file)
		if err != nil {
			return err
		}
		for _, m := range how.FindAllStringSubmatch(string(text), -1) {
			s := m[1]
			if how == inJSON {
				if s, err = strconv.Unquote(s); err != nil {
					return err
				}
			}
			if files := found[s]; len(files) == 0 || files[len(files)-1] != name {
				found[s] = append(files, name)
			}
		}
		return nil
	})
	var out []Message
	for s, files := range found {
		out = append(out, Message{s, files})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Text < out[j].Text })
	return out, err
}

// Catalog returns a gettext catalog with the given messages and translations.
func Catalog(messages []Message, header string, translations map[string]string) string {
	var b strings.Builder
	b.WriteString("msgid \"\"\nmsgstr " + header + "\n")
	for _, m := range messages {
		b.WriteByte('\n')
		for _, f := range m.Files {
			b.WriteString("#: applications/luci-app-p2pwall/" + filepath.ToSlash(f) + "\n")
		}
		fmt.Fprintf(&b, "msgid \"%s\"\nmsgstr \"%s\"\n", escape(m.Text), escape(translations[m.Text]))
	}
	return b.String()
}

func escape(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }
