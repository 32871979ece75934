// SPDX-License-Identifier: GPL-2.0-or-later

package directconnect

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// hub is a small NMDC hub. It accepts everybody, sends the user list, and forwards
// searches, results and connection requests. It has no chat and no access rights.
type hub struct {
	mu    sync.Mutex
	users map[string]*user // the key is the nick
}

// user is a user in the hub.
type user struct {
	nick, info string
	mu         sync.Mutex
	conn       net.Conn
}

func (u *user) send(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fmt.Fprintf(u.conn, format+"|", args...)
}

// here returns the users that have sent their info, except one.
func (h *hub) here(but *user) (out []*user) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.users {
		if u != but && u.info != "" {
			out = append(out, u)
		}
	}
	return out
}

// named returns the user with that nick, or nil.
func (h *hub) named(nick string) *user {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.users[nick]
}

// search makes a user who is only heard of search every few seconds, as users of a real hub do.
func (h *hub) search(ctx context.Context) {
	for ctx.Err() == nil {
		for _, u := range h.here(nil) {
			u.send("$Search Hub:eve F?T?0?1?nothing$that$anybody$has")
		}
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Second):
		}
	}
}

// talk serves a user's connection.
func (h *hub) talk(c net.Conn) {
	u := &user{conn: c}
	defer func() {
		h.mu.Lock()
		if h.users[u.nick] == u {
			delete(h.users, u.nick)
		}
		h.mu.Unlock()
		for _, o := range h.here(u) {
			o.send("$Quit %s", u.nick)
		}
	}()
	u.send("$Lock EXTENDEDPROTOCOL_a_hub_of_the_lab Pk=lab")
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('|')
		if err != nil {
			return
		}
		h.command(u, strings.TrimSuffix(line, "|"))
	}
}

// command handles a user's command.
func (h *hub) command(u *user, line string) {
	word, rest, _ := strings.Cut(line, " ")
	first, more, _ := strings.Cut(rest, " ")
	switch word {
	case "$Supports":
		u.send("$Supports NoGetINFO NoHello UserIP2 TTHSearch TLS")
	case "$ValidateNick":
		h.mu.Lock()
		u.nick = rest
		h.users[rest] = u
		h.mu.Unlock()
		u.send("$HubName lab")
		u.send("$Hello %s", rest)
	case "$MyINFO":
		h.mu.Lock()
		u.info = line
		h.mu.Unlock()
		for _, o := range h.here(nil) {
			o.send("%s", line)
		}
	case "$GetNickList":
		var nicks strings.Builder
		for _, o := range h.here(nil) {
			nicks.WriteString(o.nick + "$$")
		}
		u.send("$NickList %s", nicks.String())
		for _, o := range h.here(nil) {
			u.send("%s", o.info)
		}
	case "$Search":
		for _, o := range h.here(u) {
			o.send("%s", line)
		}
	case "$SR": // the last part is the receiver's nick
		i := strings.LastIndexByte(line, 5)
		if i < 0 {
			return
		}
		if o := h.named(line[i+1:]); o != nil {
			o.send("%s", line[:i])
		}
	case "$ConnectToMe":
		if o := h.named(first); o != nil {
			o.send("%s", line)
		}
	case "$RevConnectToMe":
		if o := h.named(more); o != nil {
			o.send("%s", line)
		}
	}
}
