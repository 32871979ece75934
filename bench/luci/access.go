// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"encoding/json"
	"os"
	"path"
)

// Access is what a session may do, as rpcd reads it from its access lists.
type Access struct {
	UBUS map[string][]string `json:"ubus"` // object: methods
	UCI  []string            `json:"uci"`
	File map[string][]string `json:"file"` // path or command line: rights
}

// group has the rights of an access group: to read, and to write.
type group struct {
	Read  Access `json:"read"`
	Write Access `json:"write"`
}

// base has the rights that luci-base grants to every user, as far as views use them.
var base = group{
	Read: Access{UBUS: map[string][]string{
		"file": {"list"}, "luci": {"getFeatures"}, "session": {"access"}, "uci": {"get", "changes"},
	}, UCI: []string{"network"}},
	Write: Access{UBUS: map[string][]string{
		"uci": {"add", "apply", "confirm", "delete", "order", "rename", "set"},
	}},
}

func readAccess(file string) (group, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return group{}, err
	}
	var all map[string]group
	if err := json.Unmarshal(text, &all); err != nil {
		return group{}, err
	}
	return all["luci-app-p2pwall"], nil
}

func has(list []string, s string) bool {
	for _, x := range list {
		if ok, _ := path.Match(x, s); ok {
			return true
		}
	}
	return false
}

// rights has all rights of a session.
type rights []Access

func (r rights) call(object, method string) bool {
	for _, a := range r {
		if has(a.UBUS[object], method) {
			return true
		}
	}
	return false
}

func (r rights) config(name string) bool {
	for _, a := range r {
		if has(a.UCI, name) {
			return true
		}
	}
	return false
}

func (r rights) exec(command string) bool {
	for _, a := range r {
		for pattern, how := range a.File {
			if ok, _ := path.Match(pattern, command); ok && has(how, "exec") {
				return true
			}
		}
	}
	return false
}
