// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/state"
)

// troubles are the reasons why the program cannot protect the network; "" stands for
// none.
type troubles struct {
	_                     [0]func() // not comparable: code to compare it costs flash
	rules, queue, inbound string
	now, said             string // the reasons now, and those told last
	lasts                 int    // for how many rounds now has been the same
}

// lasting is the number of rounds of keepHouse after which a trouble is told.
const lasting = 30

const (
	// keepHouse checks the queue every queueEvery rounds. The firewall check runs
	// programs. So it comes only every inboundEvery rounds, first in round inboundFirst.
	queueEvery   = 10
	inboundEvery = 3600
	inboundFirst = 60
)

// lookForTrouble sends a message when the program cannot protect the network, and one
// when it can again.
func (d *daemon) lookForTrouble() {
	t := &d.troubles
	wanted := false
	for i := range d.status.cfg.Notify {
		wanted = wanted || d.status.cfg.Notify[i].Events&config.NotifyUnprotected != 0
	}
	if !wanted || d.o.NoRules {
		return
	}
	t.rules = ""
	if !d.status.rulesOK {
		t.rules = "its firewall rules are gone and cannot be put back"
		if len(d.status.names) == 0 {
			t.rules = "there is no LAN device"
		}
	}
	if d.rounds%queueEvery == 0 {
		t.queue = ""
		if lost, err := nfq.ReadStats(d.status.queues()...); err == nil && len(lost) < d.status.cfg.Queues {
			t.queue = "the kernel has lost its queue"
		}
	}
	if d.rounds%inboundEvery == inboundFirst {
		d.helpers.Go(func() { d.inbound <- d.status.inboundOpen() })
	}
	select {
	case t.inbound = <-d.inbound:
	default:
	}
	var all []string
	for _, why := range []string{t.rules, t.queue, t.inbound} {
		if why != "" {
			all = append(all, why)
		}
	}
	why := strings.Join(all, "; ")
	if why != t.now {
		t.now, t.lasts = why, 0
	}
	if t.lasts++; why != t.said && (why == "" || t.lasts >= lasting) {
		t.said = why
		d.outbox.Trouble(why)
	}
}

// inboundOpen says in which way the firewall lets connections from outside in, "" if it
// does not.
func (s *status) inboundOpen() string {
	for _, f := range s.check() {
		if f.Code == "inbound-open" {
			return f.What
		}
	}
	return ""
}

// lastWords sends the message that the queue has failed. This failure ends the daemon.
func (d *daemon) lastWords(err error) {
	d.outbox.Trouble("the queue failed: " + err.Error())
	d.outbox.Flush(lastPatience)
}

// lastPatience is how long the daemon waits at its end for its last message to be sent.
const lastPatience = 8 * time.Second

// describe returns the program that was found on a host, and the host's name.
func (d *daemon) describe(a nfq.Addr, mac nfq.MAC) (name, program string) {
	d.workers.do(func(e *state.Engine, now state.Time) {
		for _, c := range e.Clients(now) {
			if c.Addr == a || !mac.IsZero() && c.MAC == mac {
				program = c.Program
			}
		}
	})
	return d.names.of(a, mac), program
}
