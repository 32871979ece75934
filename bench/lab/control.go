// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// Control is a client of the program's control socket. A request is one line with a JSON
// object, and so is a reply.
type Control struct {
	Path string
}

// Request is a request to the program.
type Request struct {
	Cmd     string `json:"cmd"`
	Host    string `json:"host,omitempty"`
	Seconds int64  `json:"seconds,omitempty"`
	Since   uint64 `json:"since,omitempty"`
}

// Status is the reply to "status".
type Status struct {
	Version    string            `json:"version"`
	Pid        int               `json:"pid"`
	Enabled    bool              `json:"enabled"`
	Backend    string            `json:"backend"`
	Sets       string            `json:"sets"`
	RulesOK    bool              `json:"rules_ok"`
	Queues     []QueueStatus     `json:"queues"`
	Devices    []string          `json:"devices"`
	TimeLock   float64           `json:"timelock"`
	Config     string            `json:"config"`
	Counters   map[string]uint64 `json:"counters"`
	NumClients int               `json:"clients"`
	Locked     int               `json:"locked"`
}

// QueueStatus is one kernel queue in a Status.
type QueueStatus struct {
	Number      int    `json:"number"`
	Length      int    `json:"length"`
	Waiting     uint64 `json:"waiting"`
	Dropped     uint64 `json:"dropped"`
	UserDropped uint64 `json:"user_dropped"`
}

// ClientStatus is one found client.
type ClientStatus struct {
	Address       string   `json:"address"`
	Addresses     []string `json:"addresses"`
	MAC           string   `json:"mac"`
	Protocol      string   `json:"protocol"`
	FirstSeen     float64  `json:"first_seen"`
	LastSeen      float64  `json:"last_seen"`
	Locked        bool     `json:"locked"`
	LockRemaining float64  `json:"lock_remaining"`
	LockTime      float64  `json:"lock_time"`
	Peers         int      `json:"peers"`
	Locks         uint64   `json:"locks"`
	Dropped       uint64   `json:"dropped"`
	DroppedTCP    uint64   `json:"dropped_tcp"`
	DroppedUDP    uint64   `json:"dropped_udp"`
	LastProbe     float64  `json:"last_probe"`
	LastAnswer    float64  `json:"last_answer"`
	Reason        string   `json:"reason"`
	Proof         string   `json:"proof"`
	Program       string   `json:"program"`
}

// PeerStatus is one peer of a client.
type PeerStatus struct {
	Client   string  `json:"client"`
	Address  string  `json:"address"`
	Port     uint16  `json:"port"`
	Protocol string  `json:"protocol"`
	Dropped  uint64  `json:"dropped"`
	LastSeen float64 `json:"last_seen"`
}

// Event is one line of the event stream.
type Event struct {
	Seq      uint64  `json:"seq"`
	Time     float64 `json:"time"`
	Class    string  `json:"class"`
	Event    string  `json:"event"`
	Client   string  `json:"client"`
	MAC      string  `json:"mac"`
	Peer     string  `json:"peer"`
	Protocol string  `json:"protocol"`
	Text     string  `json:"text"`

	// Got and At say when a Wall received the event. A packet that reached the router
	// after At came after the event, whatever the clocks say.
	Got time.Time `json:"-"`
	At  Moment    `json:"-"`
}

// Do sends a request and decodes the reply into reply, which may be nil. An
// "error" in the reply becomes an error.
func (c Control) Do(req Request, reply any) error {
	conn, err := net.DialTimeout("unix", c.Path, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 1<<20).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w after %d bytes", req.Cmd, err, len(line))
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("%s: %w in %.200s", req.Cmd, err, line)
	}
	if failed.Error != "" {
		return fmt.Errorf("%s: %s", req.Cmd, failed.Error)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(line, reply)
}

// Status asks for the state of the program.
func (c Control) Status() (s Status, err error) {
	err = c.Do(Request{Cmd: "status"}, &s)
	return s, err
}

// Counter asks for one of the program's counters.
func (c Control) Counter(name string) (uint64, error) {
	s, err := c.Status()
	if err != nil {
		return 0, err
	}
	v, ok := s.Counters[name]
	if !ok {
		return 0, fmt.Errorf("lab: status has no counter %q", name)
	}
	return v, nil
}

// Clients asks for the clients found.
func (c Control) Clients() ([]ClientStatus, error) {
	var r struct {
		Clients []ClientStatus `json:"clients"`
	}
	err := c.Do(Request{Cmd: "clients"}, &r)
	return r.Clients, err
}

// Client asks for one client. An unknown client is an error.
func (c Control) Client(h *Host) (ClientStatus, error) {
	all, err := c.Clients()
	if err != nil {
		return ClientStatus{}, err
	}
	for _, s := range all {
		if s.Address == h.Addr4.String() || s.Address == h.Addr6.String() || s.MAC == macText(h.MAC) {
			return s, nil
		}
	}
	return ClientStatus{}, errNoClient
}

var errNoClient = errors.New("lab: the wall does not know this client")

// Peers asks for the peers of a host. With "" it asks for all peers.
func (c Control) Peers(host string) ([]PeerStatus, error) {
	var r struct {
		Peers []PeerStatus `json:"peers"`
	}
	err := c.Do(Request{Cmd: "peers", Host: host}, &r)
	return r.Peers, err
}

// Events asks for the events that the program still has, from a number on.
func (c Control) Events(since uint64) ([]Event, error) {
	var r struct {
		Events []Event `json:"events"`
	}
	err := c.Do(Request{Cmd: "events", Since: since}, &r)
	return r.Events, err
}

// Monitor calls f for every event from now on, until ctx or the program ends.
func (c Control) Monitor(ctx context.Context, f func(Event)) error {
	conn, err := net.DialTimeout("unix", c.Path, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(Request{Cmd: "monitor"}); err != nil {
		return err
	}
	dec := json.NewDecoder(conn)
	for {
		var e Event
		if err := dec.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if e.Class != "" {
			f(e)
		}
	}
}
