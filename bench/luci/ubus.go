// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

type request struct {
	ID     any    `json:"id"`
	Method string `json:"method"`
	Params []any  `json:"params"`
}

// ubus answers JSON-RPC like uhttpd's module: one request or a batch.
func (s *Server) ubus(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down {
		http.Error(w, "the router is restarting", http.StatusBadGateway)
		return
	}
	var reply any
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		var batch []request
		if json.Unmarshal(body, &batch) == nil {
			all := []any{}
			for _, q := range batch {
				all = append(all, s.answer(q))
			}
			reply = all
		}
	} else {
		var q request
		if json.Unmarshal(body, &q) == nil {
			reply = s.answer(q)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply)
}

// Down makes the router answer no calls, or answer them again.
func (s *Server) Down(yes bool) {
	s.mu.Lock()
	s.down = yes
	s.mu.Unlock()
}

func (s *Server) answer(q request) any {
	out := map[string]any{"jsonrpc": "2.0", "id": q.ID}
	if q.Method == "list" {
		out["result"] = map[string]any{}
		return out
	}
	p := append(append([]any{}, q.Params...), nil, nil, nil, nil)
	session, _ := p[0].(string)
	object, _ := p[1].(string)
	method, _ := p[2].(string)
	args, _ := p[3].(map[string]any)
	s.mu.Lock()
	s.calls[object+"."+method]++
	expired := s.expired
	s.mu.Unlock()

	var held rights
	switch {
	case expired:
	case session == adminSession:
		held = rights{base.Read, base.Write, s.access.Read, s.access.Write}
	case session == readerSession:
		held = rights{base.Read, s.access.Read}
	}
	if !held.call(object, method) {
		out["error"] = map[string]any{"code": -32002, "message": "Access denied"}
		return out
	}
	result, code := s.call(held, object, method, args)
	absent := object == "p2pwall" || object == "luci.p2pwall" && s.cfg.Direct == nil
	if absent && code == ubusNotFound {
		out["error"] = map[string]any{"code": -32000, "message": "Object not found"}
		return out
	}
	list := []any{code}
	if result != nil {
		list = append(list, result)
	}
	out["result"] = list
	return out
}

func (s *Server) call(held rights, object, method string, args map[string]any) (any, int) {
	writes := rights{}
	if len(held) == 4 {
		writes = held[2:]
	}
	switch object {
	case "luci.p2pwall":
		if s.cfg.Direct == nil {
			return nil, ubusNotFound
		}
		return s.cfg.Direct(method, args)
	case "p2pwall":
		if s.cfg.Object == nil {
			return nil, ubusNotFound
		}
		return s.cfg.Object(method, args)
	case "uci":
		config, _ := args["config"].(string)
		switch method {
		case "get":
			if !held.config(config) {
				return nil, ubusDenied
			}
		case "set", "add", "delete", "commit":
			if !writes.config(config) {
				return nil, ubusDenied
			}
		}
		return s.cfg.UCI.call(method, args)
	case "session":
		scope, _ := args["scope"].(string)
		name, _ := args["object"].(string)
		how, _ := args["function"].(string)
		ok := scope == "uci" && (how == "read" && (name == "luci" || held.config(name)) || how == "write" && writes.config(name))
		return map[string]any{"access": ok}, ubusOK
	case "luci-rpc":
		if s.cfg.Hints == nil {
			return map[string]any{}, ubusOK
		}
		return s.cfg.Hints, ubusOK
	case "file":
		if method != "exec" {
			return map[string]any{"entries": []any{}}, ubusOK
		}
		command, _ := args["command"].(string)
		params, _ := args["params"].([]any)
		words := []string{command}
		for _, p := range params {
			words = append(words, p.(string))
		}
		if !held.exec(strings.Join(words, " ")) {
			return nil, ubusDenied
		}
		if len(words) == 4 && words[0] == "/bin/grep" {
			code, out := 1, ""
			for line := range strings.Lines(s.cfg.Makers[words[3]]) {
				if strings.HasPrefix(line, strings.TrimPrefix(words[2], "^")) && code != 0 {
					code, out = 0, line
				}
			}
			return map[string]any{"code": code, "stdout": out, "stderr": ""}, ubusOK
		}
		if s.cfg.Init == nil || len(words) != 2 {
			return map[string]any{"code": 127, "stderr": "not found"}, ubusOK
		}
		code, said := s.cfg.Init(words[1])
		return map[string]any{"code": code, "stdout": "", "stderr": said}, ubusOK
	case "luci":
		return map[string]any{}, ubusOK
	}
	return nil, ubusNotFound
}
