// Package cpu executes graphs on CPUs with oneDNN.
//
// A program is lowered once: activations get the blocked layouts that oneDNN computes with, batch norm
// and its five derivatives become fused kernels, buffers are shared by values that are never alive
// together. Results are bit-identical from run to run for the same number of threads and instruction
// set.
package cpu

/*
#cgo CXXFLAGS: -O3 -std=c++17 -fopenmp
#cgo LDFLAGS: -ldnnl -lgomp -lstdc++ -lm
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// Engine runs kernels with a fixed number of threads. oneDNN's OpenMP team belongs to the calling OS
// thread, so every kernel of an engine runs on one that is locked.
type Engine struct {
	threads  int
	winograd bool
	jobs     chan func()
	close    sync.Once
}

// Info says what results depend on, besides the program: checkpoints record it.
type Info struct {
	ISA     string `json:"isa"`
	OneDNN  string `json:"oneDNN"`
	Threads int    `json:"threads"`
}

// Option changes an engine.
type Option func(*Engine)

// Direct makes every convolution multiply each weight with each pixel, instead of Winograd's algorithm
// where that is faster.
func Direct(e *Engine) { e.winograd = false }

// New starts an engine with a number of threads, at least 1.
func New(threads int, options ...Option) (*Engine, error) {
	if threads < 1 {
		return nil, fmt.Errorf("an engine needs at least 1 thread, not %d", threads)
	}
	e := &Engine{threads: threads, winograd: true, jobs: make(chan func())}
	for _, change := range options {
		change(e)
	}
	go e.serve()
	if err := e.do(func() error { return status(C.engine_init(C.int(threads))) }); err != nil {
		_ = e.Close() // ends its thread
		return nil, err
	}
	return e, nil
}

func (e *Engine) serve() {
	runtime.LockOSThread()
	for job := range e.jobs {
		job()
	}
}

// do runs f on the engine's thread.
func (e *Engine) do(f func() error) error {
	done := make(chan error, 1)
	e.jobs <- func() { done <- f() }
	return <-done
}

// Name is "cpu".
func (e *Engine) Name() string { return "cpu" }

// Info of this engine.
func (e *Engine) Info() Info {
	return Info{ISA: C.GoString(C.isa_name()), OneDNN: C.GoString(C.dnnl_version_name()), Threads: e.threads}
}

// Close ends the engine's thread; its executables must be closed before.
func (e *Engine) Close() error {
	e.close.Do(func() { close(e.jobs) })
	return nil
}

// Compile lowers a program.
func (e *Engine) Compile(p engine.Program) (engine.Executable, error) {
	if p.Precision == engine.BF16 && preferred(16) != 16 {
		return nil, ErrNoBF16
	}
	var x *executable
	err := e.do(func() (err error) {
		x, err = compile(e, p)
		return err
	})
	if err != nil {
		if x != nil {
			err = x.had(err)
			_ = x.Close() // err is what went wrong
		}
		return nil, err
	}
	return x, nil
}

// ErrNoBF16 is a program of bfloat16 on a CPU without AVX-512, where oneDNN has no kernels for it.
var ErrNoBF16 = errors.New("precision BF16 needs a CPU with AVX-512; set pretraining.precision to FP32")

// OutOfMemoryError is memory that could not be had.
type OutOfMemoryError struct {
	Bytes int64 // that were wanted; 0: not known, oneDNN wanted them
	Had   int64 // bytes that the program had got before
}

// Error names the amounts.
func (e *OutOfMemoryError) Error() string {
	wanted := "oneDNN wanted more"
	if e.Bytes > 0 {
		wanted = fmt.Sprintf("%d MiB more were wanted", e.Bytes>>20)
	}
	return fmt.Sprintf("out of memory: %s for the step's values, beside %d MiB", wanted, e.Had>>20)
}

func status(code C.int) error {
	if code == 0 {
		return nil
	}
	return lastError()
}

func lastError() error {
	if C.out_of_memory() != 0 {
		return &OutOfMemoryError{}
	}
	return errors.New(C.GoString(C.last_error()))
}

// buffer is memory outside Go's heap, for values of at most cap floats.
type buffer struct {
	p   unsafe.Pointer
	cap int
}

func newBuffer(floats int) (*buffer, error) {
	p := C.alloc_aligned(C.long(4 * max(floats, 1)))
	if p == nil {
		return nil, &OutOfMemoryError{Bytes: 4 * int64(floats)}
	}
	return &buffer{p, floats}, nil
}

func (b *buffer) floats(n int) []float32 { return unsafe.Slice((*float32)(b.p), n) }
func (b *buffer) c() *C.float            { return (*C.float)(b.p) }
