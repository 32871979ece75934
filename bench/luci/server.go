// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// Config configures a Server.
type Config struct {
	Root   string // the checkout
	Object Object // nil for a router whose rpcd does not know p2pwall
	// Direct answers for the object luci.p2pwall. nil is a router whose rpcd has no
	// socket module.
	Direct Object
	UCI    *UCI
	// Hints is the answer to luci-rpc getHostHints.
	Hints map[string]any
	// Makers are the lists of the makers of network cards, by the file's path: the first
	// half of a hardware address, a tab, and the name in each line.
	Makers map[string]string
	// Init runs the init script with a command and returns the exit code and standard
	// error.
	Init func(command string) (int, string)
	// A browser test calls a hook with POST /test/NAME to make something happen.
	Hooks map[string]func()
	// LuCI is a checkout of LuCI with the runtime to use, "" for the folder runtime.
	LuCI string
}

// Server does what the app needs of a router's web server.
type Server struct {
	URL string

	cfg    Config
	access group
	menu   map[string]menuEntry
	po     map[string]string
	http   *http.Server

	mu      sync.Mutex
	expired bool
	down    bool
	calls   map[string]int
}

type menuEntry struct {
	Title  string
	Action struct{ Type, Path string }
}

const (
	appDir  = "openwrt/luci-app-p2pwall"
	prefix  = "/cgi-bin/luci/"
	menuDir = "admin/services/p2pwall/"
)

// The session ids of the two users.
const (
	adminSession  = "adadadadadadadadadadadadadadadad"
	readerSession = "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e"
)

// NewServer serves on a free port of the loopback device until Close.
func NewServer(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, calls: map[string]int{}}
	app := filepath.Join(cfg.Root, appDir)
	var err error
	if s.access, err = readAccess(filepath.Join(app, "root/usr/share/rpcd/acl.d/luci-app-p2pwall.json")); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(app, "root/usr/share/luci/menu.d/luci-app-p2pwall.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.menu); err != nil {
		return nil, err
	}
	if s.po, err = ReadPO(filepath.Join(app, "po/de/p2pwall.po")); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ubus/", s.ubus)
	mux.HandleFunc(prefix+"admin/ubus/", s.ubus)
	mux.HandleFunc(prefix+"admin/uci/", s.apply)
	mux.HandleFunc(prefix+"admin/translations/", s.translations)
	mux.HandleFunc(prefix, s.page)
	mux.HandleFunc("/luci-static/", s.static)
	mux.HandleFunc("/test/", s.hook)
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.URL = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: mux}
	go s.http.Serve(l)
	return s, nil
}

// Close ends the server.
func (s *Server) Close() error { return s.http.Close() }

// Expire ends all sessions, or makes them valid again.
func (s *Server) Expire(yes bool) {
	s.mu.Lock()
	s.expired = yes
	s.mu.Unlock()
}

// Calls returns how often "object.method" has been called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

func (s *Server) hook(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/test/")
	if method, ok := strings.CutPrefix(name, "calls/"); ok {
		fmt.Fprint(w, s.Calls(method))
		return
	}
	f := s.cfg.Hooks[name]
	if f == nil || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	f()
}

// static serves the app's files and the runtime's. It minifies the app's scripts. The
// app's files come first.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	name := path.Clean(r.URL.Path)
	dirs := []string{filepath.Join(s.cfg.Root, appDir, "htdocs")}
	if s.cfg.LuCI != "" {
		dirs = append(dirs, filepath.Join(s.cfg.LuCI, "modules/luci-base/htdocs"), filepath.Join(s.cfg.LuCI, "themes/luci-theme-bootstrap/htdocs"))
	}
	for i, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			continue
		}
		if i == 0 && strings.HasSuffix(name, ".js") {
			small, err := Minify(string(text))
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			text = []byte(small)
		}
		serveFile(w, name, text)
		return
	}
	if s.cfg.LuCI == "" {
		text, err := os.ReadFile(filepath.Join(s.cfg.Root, "bench/luci/runtime", path.Base(name)))
		if err == nil {
			serveFile(w, name, text)
			return
		}
	}
	http.NotFound(w, r)
}

func serveFile(w http.ResponseWriter, name string, text []byte) {
	types := map[string]string{
		".js": "application/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png",
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	_, _ = w.Write(text)
}

// translations defines TR, the catalog of the page's language. LuCI's catalog has hashes
// as keys, which LuCI's cbi.js computes.
func (s *Server) translations(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/javascript")
	words := map[string]string{}
	if path.Base(r.URL.Path) == "de" {
		words = s.po
	}
	text, _ := json.Marshal(words)
	fmt.Fprintf(w, "window.TR = {};\n(function(po) { for (var k in po) if (po[k]) TR[window.sfh ? sfh(k) : k] = po[k]; })(%s);\n", text)
}

// apply does what LuCI's own controller does to apply changes.
func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	switch path.Base(r.URL.Path) {
	case "apply_rollback", "apply_unchecked":
		if err := s.cfg.UCI.Commit(""); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if strings.HasSuffix(r.URL.Path, "rollback") {
			fmt.Fprint(w, `{"token":"1"}`)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

var pageText = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<title>{{.Title}} - P2Pwall</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{{if .Real}}<link rel="stylesheet" href="/luci-static/bootstrap/cascade.css">
<link rel="stylesheet" media="only screen and (max-device-width: 854px)" href="/luci-static/bootstrap/mobile.css">
<script>document.documentElement.setAttribute('data-darkmode', matchMedia('(prefers-color-scheme: dark)').matches)</script>
<script src="/luci-static/resources/cbi.js"></script>
<script src="/luci-static/resources/promis.min.js"></script>{{else}}<link rel="stylesheet" href="/luci-static/theme.css">{{end}}
<script src="/cgi-bin/luci/admin/translations/{{.Lang}}"></script>
<script src="/luci-static/resources/luci.js"></script>
<script>
L = new LuCI({{.Env}});
</script>
</head>
<body data-page="admin-services-p2pwall-{{.Tab}}">
<header><a class="brand" href="/cgi-bin/luci/">OpenWrt</a><div id="indicators" class="pull-right"></div></header>
<main id="maincontent" class="container">
<nav id="tabmenu" aria-label="P2Pwall"><ul class="tabs">{{range .Tabs}}<li class="tabmenu-item-{{.Tab}}{{if .Active}} active{{end}}"><a href="{{.URL}}"{{if .Active}} aria-current="page"{{end}}>{{.Title}}</a></li>{{end}}</ul></nav>
<div id="view"><script>L.require('ui').then(function(ui) { ui.instantiateView({{.View}}); });</script></div>
</main>
</body>
</html>
`))

// page serves a view in the form of LuCI's header.ut, view.ut and footer.ut. The query can
// choose the user "reader" and the language "de".
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	tab := strings.TrimPrefix(r.URL.Path, prefix+menuDir)
	entry, ok := s.menu[menuDir+tab]
	if !ok {
		http.NotFound(w, r)
		return
	}
	lang, session := "en", adminSession
	if r.URL.Query().Get("lang") == "de" {
		lang = "de"
	}
	if r.URL.Query().Get("user") == "reader" {
		session = readerSession
	}
	title := func(s0 string) string {
		if t := s.po[s0]; lang == "de" && t != "" {
			return t
		}
		return s0
	}
	type tabLink struct {
		Tab, Title, URL string
		Active          bool
	}
	var tabs []tabLink
	for _, t := range []string{"status", "settings", "log"} {
		u := prefix + menuDir + t
		if r.URL.RawQuery != "" {
			u += "?" + r.URL.RawQuery
		}
		tabs = append(tabs, tabLink{t, title(s.menu[menuDir+t].Title), u, t == tab})
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:")
	_ = pageText.Execute(w, map[string]any{
		"Lang": lang, "Title": title(entry.Title), "Tab": tab, "Tabs": tabs, "View": entry.Action.Path, "Real": s.cfg.LuCI != "",
		"Env": map[string]any{
			"media": "/luci-static/bootstrap", "resource": "/luci-static/resources", "scriptname": "/cgi-bin/luci",
			"base_url": "/luci-static/resources", "documentroot": "/www", "requestpath": strings.Split(menuDir+tab, "/"),
			"pollinterval": 5, "ubuspath": "/ubus/", "sessionid": session, "token": "1",
			"nodespec":       map[string]any{"satisfied": true, "readonly": session == readerSession},
			"apply_rollback": 90, "apply_holdoff": 1, "apply_timeout": 5, "apply_display": 1,
		},
	})
}
