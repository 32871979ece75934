// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"encoding/binary"
)

// An adbWriter builds the database at the start of a package of apk-tools 3: a buffer of
// little-endian values that refer to each other by offset. A value has 32 bits, and the upper
// four are its type. Data that does not fit into the other 28 bits is stored elsewhere in the
// buffer, and the value is its offset.
type adbWriter struct {
	buf []byte
	// stored has the offsets of the data stored so far. apk-tools stores equal data once.
	stored map[string]uint32
}

// adbVal is a value, or a reference to one. Zero is the null value.
type adbVal uint32

const (
	adbInt    = 0x10000000
	adbInt32  = 0x20000000
	adbInt64  = 0x30000000
	adbBlob8  = 0x80000000
	adbBlob16 = 0x90000000
	adbBlob32 = 0xa0000000
	adbObject = 0xe0000000

	adbHeaderLen = 8 // versions, reserved, root value
)

func newADB() *adbWriter {
	return &adbWriter{buf: make([]byte, adbHeaderLen), stored: map[string]uint32{}}
}

// raw stores bytes at the next offset of the given alignment.
func (w *adbWriter) raw(data []byte, align int) uint32 {
	for len(w.buf)%align != 0 {
		w.buf = append(w.buf, 0)
	}
	offset := uint32(len(w.buf))
	w.buf = append(w.buf, data...)
	return offset
}

func (w *adbWriter) data(data []byte, align int) uint32 {
	if offset, ok := w.stored[string(data)]; ok && int(offset)%align == 0 {
		return offset
	}
	offset := w.raw(data, align)
	w.stored[string(data)] = offset
	return offset
}

// encodeBlob returns a blob in its stored form: the length, then the data.
func encodeBlob(b []byte) (kind uint32, data []byte, align int) {
	switch {
	case len(b) > 0xffff:
		return adbBlob32, append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...), 4
	case len(b) > 0xff:
		return adbBlob16, append(binary.LittleEndian.AppendUint16(nil, uint16(len(b))), b...), 2
	default:
		return adbBlob8, append([]byte{byte(len(b))}, b...), 1
	}
}

func (w *adbWriter) blob(b []byte) adbVal {
	if len(b) == 0 {
		return 0
	}
	kind, data, align := encodeBlob(b)
	return adbVal(kind | w.data(data, align))
}

func (w *adbWriter) text(s string) adbVal { return w.blob([]byte(s)) }

// hole stores a blob of zeros that no other value shares. It returns the offset of its bytes,
// so that the caller can fill them in later.
func (w *adbWriter) hole(size int) (val adbVal, at int) {
	kind, data, align := encodeBlob(make([]byte, size))
	offset := w.raw(data, align)
	return adbVal(kind | offset), int(offset) + len(data) - size
}

func (w *adbWriter) int(n uint64) adbVal {
	switch {
	case n >= 1<<32:
		return adbVal(adbInt64 | w.data(binary.LittleEndian.AppendUint64(nil, n), 4))
	case n >= 1<<28:
		return adbVal(adbInt32 | w.data(binary.LittleEndian.AppendUint32(nil, uint32(n)), 4))
	default:
		return adbVal(adbInt | uint32(n))
	}
}

// object stores the fields of an object or the items of an array. There is a type for arrays,
// but apk-tools does not write it. Field i of the schema is vals[i-1]. Trailing nulls are
// left out, and an object with only nulls is null.
func (w *adbWriter) object(vals ...adbVal) adbVal {
	for len(vals) > 0 && vals[len(vals)-1] == 0 {
		vals = vals[:len(vals)-1]
	}
	if len(vals) == 0 {
		return 0
	}
	data := binary.LittleEndian.AppendUint32(nil, uint32(len(vals)+1))
	for _, v := range vals {
		data = binary.LittleEndian.AppendUint32(data, uint32(v))
	}
	return adbVal(adbObject | w.data(data, 4))
}

// finish sets the root value and returns the complete database.
func (w *adbWriter) finish(root adbVal) []byte {
	binary.LittleEndian.PutUint32(w.buf[4:], uint32(root))
	return w.buf
}

const (
	adbBlockADB  = 0
	adbBlockSig  = 1
	adbBlockData = 2
	adbBlockMax  = 0x3fffffff
)

// writeBlock appends a block of the file: its type and length, the content, and zeros up to a
// multiple of eight bytes.
func writeBlock(out *bytes.Buffer, kind uint32, parts ...[]byte) {
	size := 4
	for _, p := range parts {
		size += len(p)
	}
	if size > adbBlockMax {
		panic("a file of a gigabyte in a package")
	}
	out.Write(binary.LittleEndian.AppendUint32(nil, kind<<30|uint32(size)))
	for _, p := range parts {
		out.Write(p)
	}
	for ; size%8 != 0; size++ {
		out.WriteByte(0)
	}
}
