// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const luciDir = "openwrt/luci-app-p2pwall"

// luciPostrm removes the app's own directories, which opkg leaves behind, and sends rpcd a
// signal.
const luciPostrm = `for dir in p2pwall view/p2pwall statistics/rrdtool/definitions statistics/rrdtool statistics; do
	rmdir "${IPKG_INSTROOT}/www/luci-static/resources/$dir" 2>/dev/null
done
[ -n "${IPKG_INSTROOT}" ] || [ "${PKG_UPGRADE}" = 1 ] || /usr/bin/killall -q -HUP rpcd
exit 0
`

// languages are the names of the translations in LuCI.
var languages = map[string]string{"de": "Deutsch (German)"}

// luciPacks returns the packages of the LuCI app: the app, and one for each translation. It
// returns none if the tree has no app.
func (r *release) luciPacks() ([]*pack, error) {
	if _, err := os.Stat(r.path(luciDir)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	app := &pack{
		name: "luci-app-p2pwall", arch: archAll, section: "luci",
		title:       "LuCI support for P2Pwall",
		description: "Status, settings and log of P2Pwall in LuCI.",
		depends:     []string{"luci-base", "p2pwall"},
		postrm:      luciPostrm,
	}
	for dir, prefix := range map[string]string{"htdocs": "/www", "root": ""} {
		files, err := readTree(r.path(path.Join(luciDir, dir)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, f := range files {
			f.path = prefix + f.path
			app.files = append(app.files, f)
		}
	}
	sortFiles(app.files)
	packs := []*pack{app}

	catalogs, err := filepath.Glob(r.path(luciDir + "/po/*/p2pwall.po"))
	if err != nil {
		return nil, err
	}
	for _, name := range catalogs {
		p, err := luciTranslation(name)
		if err != nil {
			return nil, err
		}
		packs = append(packs, p)
	}
	return packs, nil
}

func luciTranslation(name string) (*pack, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	lang := path.Base(filepath.ToSlash(filepath.Dir(name)))
	title, ok := languages[lang]
	if !ok {
		return nil, errors.New(name + ": the name of this language is not in the table of languages")
	}
	catalog, err := compilePO(string(text))
	if err != nil {
		return nil, errors.New(name + ": " + err.Error())
	}
	code := strings.ReplaceAll(lang, "-", "_")
	return &pack{
		name: "luci-i18n-p2pwall-" + lang, arch: archAll, section: "luci",
		title:       "luci-app-p2pwall - " + lang + " translation",
		description: "Translation for luci-app-p2pwall - " + title,
		depends:     []string{"luci-app-p2pwall"},
		files: []file{
			{
				path: "/etc/uci-defaults/luci-i18n-p2pwall-" + lang, mode: 0o755,
				data: []byte("uci set luci.languages." + code + "='" + title + "'; uci commit luci\n"),
			},
			{path: "/usr/lib/lua/luci/i18n/p2pwall." + lang + ".lmo", mode: 0o644, data: catalog},
		},
	}, nil
}
