// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/detect"
)

// pageHead is the start of the file that tells the page which protocols there are.
const pageHead = `// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * What the daemon knows of its protocols: the mode and the lock that hold where the
 * configuration says nothing, the options that a protocol has a use for, and the presets of
 * its option "name". This file is written by
 * go test ./openwrt/config -run TestPage -update
 */

return baseclass.extend({
	protocols: {
`

// TestPage shows that the page has the daemon's list of protocols.
func TestPage(t *testing.T) {
	var rows []string
	for _, p := range detect.All {
		x := Default().Protocols[p.Name]
		text, err := json.Marshal(struct {
			Title    string   `json:"title"`
			Programs string   `json:"programs"`
			Mode     string   `json:"mode"`
			Lock     string   `json:"lock"`
			Options  []string `json:"options"` // without the mode
			Old      bool     `json:"old,omitempty"`
			Names    []string `json:"names,omitempty"`
		}{p.Title, p.Programs, string(x.Mode), string(x.Lock), Options(p)[1:], p.Old, x.Names})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, "\t\t"+p.Name+": "+string(text))
	}
	golden.Compare(t, "../luci-app-p2pwall/htdocs/luci-static/resources/p2pwall/known.js",
		pageHead+strings.Join(rows, ",\n")+"\n\t}\n});\n")
}
