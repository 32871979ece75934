// SPDX-License-Identifier: GPL-2.0-or-later

// Torture makes Go's runtime read all parts of its function tables. The collector walks
// stacks that are deep, that grow, and that were interrupted anywhere. Panics unwind through
// calls that are inlined, deferred, generic or made at run time. With an argument, the
// program crashes.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

type node struct {
	next  *node
	value [7]int
}

// deep keeps pointers in each of n frames and collects garbage at the deepest.
func deep(n int, last *node) int {
	own := &node{next: last}
	own.value[n%7] = n
	if n == 0 {
		runtime.GC()
		return 0
	}
	if n%100 == 0 {
		runtime.GC()
	}
	sum := deep(n-1, own)
	if own.next != last || own.value[n%7] != n {
		panic("a frame lost what it held")
	}
	return sum + own.value[n%7]
}

// interrupted runs goroutines in loops without calls, while other goroutines collect garbage.
func interrupted() int {
	var group sync.WaitGroup
	var total atomic.Int64
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			list, sum := &node{}, 0
			for j := range 200_000 {
				list.value[j%7] += j ^ i
				sum += list.value[(j+i)%7]
			}
			total.Add(int64(sum % 1000))
			total.Add(int64(deep(60+i, list)))
		}()
	}
	for range 5 {
		runtime.GC()
		runtime.Gosched()
	}
	group.Wait()
	return int(total.Load())
}

type speaker interface{ speak() string }

type dog struct{ name string }

func (d dog) speak() string { return d.name }

func pick[T any](list []T, i int) T { return list[i] }

// caught returns the value that a function panics with, and the output of its defers.
func caught(f func()) (text string) {
	steps := 0
	defer func() {
		text = fmt.Sprint(recover(), " after ", steps)
	}()
	for range 3 {
		defer func() { steps++ }()
	}
	f()
	return "no panic"
}

func panics() []string {
	var none *dog
	say := pick([]speaker{none}, 0)
	var numbers []int
	var table map[string]int
	zero := len(numbers)
	return []string{
		caught(func() { fmt.Println(none.name) }),
		caught(func() { fmt.Println(say.speak()) }), // through a wrapper
		caught(func() { fmt.Println(pick(numbers, 5)) }),
		caught(func() { fmt.Println(pick([]string{"a"}, -1+zero)) }),
		caught(func() { fmt.Println([]int{1, 2}[zero+2 : zero+1]) }),
		caught(func() { fmt.Println(7 / zero) }),
		caught(func() { table["x"]++ }),
		caught(func() { fmt.Println(any(7).(string)) }),
		caught(func() { panic(errors.New("of its own")) }),
		caught(func() { slices.SortFunc([]int{2, 1}, func(a, b int) int { panic("inside of sort") }) }),
	}
}

// made calls a function that exists only at run time. The call itself describes the
// function's frame.
func made() string {
	join := reflect.MakeFunc(reflect.TypeFor[func(*node, string) string](), func(args []reflect.Value) []reflect.Value {
		runtime.GC()
		n := args[0].Interface().(*node)
		return []reflect.Value{reflect.ValueOf(fmt.Sprint(deep(50, n), args[1]))}
	}).Interface().(func(*node, string) string)
	method := reflect.ValueOf(dog{"rex"}).MethodByName("String").Interface().(func() string)
	return join(&node{}, method())
}

func (d dog) String() string {
	runtime.GC()
	return strings.ToUpper(d.name)
}

// names returns the names of its callers.
func names() string {
	var pcs [8]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	var list []string
	for {
		f, more := frames.Next()
		list = append(list, f.Function)
		if !more {
			return strings.Join(list, " ")
		}
	}
}

//go:noinline
func crash(table map[string]int) { table["x"] = 1 }

func main() {
	if len(os.Args) > 1 {
		crash(nil)
	}
	fmt.Println(deep(3000, nil), interrupted(), made(), names())
	for _, text := range panics() {
		fmt.Println(text)
	}
}
