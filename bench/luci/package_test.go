// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// appFiles calls f for every file that the package installs on a router.
func appFiles(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	for _, dir := range []string{"htdocs", "root"} {
		err := filepath.WalkDir(filepath.Join(root, appDir, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(name)
			f(name, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSize keeps the package below 40 KB, not minified and compressed as in an ipk.
func TestSize(t *testing.T) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	appFiles(t, func(name string, text []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	})
	w.Close()
	z.Close()
	const control = 1500 // upper bound for the rest of an ipk
	if n := out.Len() + control; n > 40_000 {
		t.Errorf("the package has %d bytes", n)
	} else {
		t.Logf("the package has about %d bytes", n)
	}
}

// TestNothingFromOutside shows that the files name no other host, except in the name space
// of SVG and in an example, and that they pass no string on as HTML.
func TestNothingFromOutside(t *testing.T) {
	html := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc`)
	urls := regexp.MustCompile(`(?:https?:)?//[\w.-]+\.\w+[^'"\s]*`)
	// E() and LuCI's dom take a string for HTML, so children are in brackets.
	bare := regexp.MustCompile(`\bE\('\w+', (?:\{[^{}]*\}, )?(?:'|"|_\(|common\.\w+|[a-z]+\))`)
	n := 0
	appFiles(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".js") {
			return
		}
		n++
		for _, m := range append(html.FindAllString(string(text), -1), bare.FindAllString(string(text), -1)...) {
			if !strings.HasSuffix(m, " cells)") { // a list
				t.Errorf("%s has %q", name, m)
			}
		}
		for _, m := range urls.FindAllString(string(text), -1) {
			if m != "http://www.w3.org/2000/svg" && !strings.HasPrefix(m, "https://ntfy.example.org") {
				t.Errorf("%s names %s", name, m)
			}
		}
	})
	if n != 15 {
		t.Errorf("%d scripts", n)
	}
	if !bare.MatchString(`E('p', {}, name)`) || !bare.MatchString(`E('p', _('x'))`) || bare.MatchString(`E('p', {}, [ name ])`) {
		t.Error("the pattern for bare strings does not work")
	}
}

// TestAccess compares the access list with the calls of the views. The list must not grant
// other calls.
func TestAccess(t *testing.T) {
	access, err := readAccess(filepath.Join(root, appDir, "root/usr/share/rpcd/acl.d/luci-app-p2pwall.json"))
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := NewPlugin(filepath.Join(root, "openwrt/files/usr/libexec/rpcd/p2pwall"), t.TempDir(), "/bin/false", "/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]bool{}
	for _, m := range append(access.Read.UBUS["p2pwall"], access.Write.UBUS["p2pwall"]...) {
		granted[m] = true
	}
	called := map[string]bool{}
	var scripts strings.Builder
	appFiles(t, func(name string, text []byte) {
		if strings.HasSuffix(name, ".js") {
			scripts.Write(text)
		}
	})
	for _, m := range regexp.MustCompile(`common\.ask\('(\w+)'`).FindAllStringSubmatch(scripts.String(), -1) {
		called[m[1]] = true
	}
	if !reflect.DeepEqual(granted, called) {
		t.Errorf("granted %v, called %v", granted, called)
	}
	for m := range granted { // scripts may call others
		if plugin.methods[m] == nil {
			t.Errorf("rpcd does not offer %s", m)
		}
	}
	for _, m := range []string{"unlock", "exempt"} {
		if has(access.Read.UBUS["p2pwall"], m) {
			t.Errorf("who may only look may %s", m)
		}
	}
	if (rights{base.Read, access.Read}).exec("/etc/init.d/p2pwall start") || !(rights{access.Write}).exec("/etc/init.d/p2pwall start") ||
		(rights{base.Read, access.Read}).exec("/etc/init.d/p2pwall stop") || (rights{access.Write}).exec("/etc/init.d/p2pwall reload") {
		t.Error("the wrong commands may be executed")
	}
	const list = " /usr/share/arp-scan/ieee-oui.txt"
	for command, want := range map[string]bool{
		"/bin/grep -m1 ^00AAFF" + list: true, "/bin/grep -m1 ^00AAFF": false, "/bin/grep -m1 ^00AAF" + list: false,
		"/bin/grep -m1 ^00AAFF /etc/shadow" + list: false, "/bin/grep -m1 ^ -f /e" + list: false, "/bin/grep -m1 ^00AAFF /etc/shadow": false,
	} {
		if got := (rights{access.Read}).exec(command); got != want {
			t.Errorf("%q may be executed: %v", command, got)
		}
	}
}

// TestMenu shows that each page of the menu has its view.
func TestMenu(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, appDir, "root/usr/share/luci/menu.d/luci-app-p2pwall.json"))
	if err != nil {
		t.Fatal(err)
	}
	var menu map[string]menuEntry
	if err := json.Unmarshal(text, &menu); err != nil {
		t.Fatal(err)
	}
	views := 0
	for name, m := range menu {
		if m.Action.Type != "view" {
			continue
		}
		views++
		if _, err := os.Stat(filepath.Join(root, appDir, "htdocs/luci-static/resources/view", m.Action.Path+".js")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if views != 3 {
		t.Errorf("%d views", views)
	}
}
