// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bytes"
	"sync"
)

// Output keeps the output of a program. It can be read while the program runs.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
