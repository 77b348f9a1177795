package xla

/*
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"

static PJRT_Error *refuse(PJRT_CallbackError *make, PJRT_Error_Code code, const char *message, size_t size) {
	return (*make)(code, message, size);
}

// copied is memory that the plugin frees; NULL where there is none.
static char *copied(const void *from, size_t size) {
	char *to = malloc(size ? size : 1);
	if (to) memcpy(to, from, size);
	return to;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"slices"
	"time"
	"unsafe"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// Processes says which of several processes of one program this one is. The plugin finds the others by the store.
type Processes struct {
	Rank, Size int
	Store      KeyValues
	// Context ends what the plugin waits for in the store; nil: nothing does but the store's own errors.
	Context context.Context //nolint:containedctx // the plugin's calls have none
}

// KeyValues is a store that all processes of a program have (collective.KeyValues). Get waits so long for a key; it and Put say
// what is wrong by collective's errors.
type KeyValues interface {
	Put(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string, wait time.Duration) ([]byte, error)
}

// optionNodes and optionNode are what XLA's client for GPUs calls the number of processes, and which this is
// (xla/pjrt/c/pjrt_c_api_gpu_internal.cc). With them it exchanges the processes' devices through the store, and NCCL its peers.
const (
	optionNodes = "num_nodes"
	optionNode  = "node_id"
)

// GPUOptions are the client options by which XLA's plugin for GPUs takes this process for one of several.
func (p *Processes) GPUOptions() map[string]any {
	return map[string]any{optionNodes: int64(p.Size), optionNode: int64(p.Rank)}
}

func (p *Processes) context() context.Context {
	if p.Context == nil {
		return context.Background()
	}
	return p.Context
}

// codeOf an error of a store, as absl numbers them: the plugin asks again where it is told NOT_FOUND.
func codeOf(err error, waited bool) C.PJRT_Error_Code {
	switch {
	case errors.Is(err, collective.ErrNoKey) && waited:
		return C.PJRT_Error_Code_DEADLINE_EXCEEDED
	case errors.Is(err, collective.ErrNoKey):
		return C.PJRT_Error_Code_NOT_FOUND
	case errors.Is(err, collective.ErrKeyTaken):
		return C.PJRT_Error_Code_ALREADY_EXISTS
	case errors.Is(err, collective.ErrTooMuch):
		return C.PJRT_Error_Code_RESOURCE_EXHAUSTED
	default: // another process is lost, or this one ends
		return C.PJRT_Error_Code_UNAVAILABLE
	}
}

// refused is a plugin's error object with what is wrong.
func refused(err error, waited bool, how *C.PJRT_CallbackError) *C.PJRT_Error {
	text := []byte("the store of the run's workers: " + err.Error())
	return C.refuse(how, codeOf(err, waited), (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.size_t(len(text)))
}

func processesOf(handle unsafe.Pointer) *Processes {
	return (*cgo.Handle)(handle).Value().(*Processes)
}

func keyOf(key *C.char, size C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(key)), int(size)))
}

// given copies a value to memory that the plugin frees by C's free.
func given(value []byte) (*C.char, C.size_t) {
	size := C.size_t(len(value))
	return C.copied(unsafe.Pointer(unsafe.SliceData(value)), size), size
}

// got is a key's value for the plugin, or its error object.
func got(handle unsafe.Pointer, key string, wait time.Duration, waits bool, how *C.PJRT_CallbackError) (value *C.char, size C.size_t, err *C.PJRT_Error) {
	p := processesOf(handle)
	v, failed := p.Store.Get(p.context(), key, wait)
	if failed != nil {
		return nil, 0, refused(failed, waits, how)
	}
	if value, size = given(v); value == nil {
		return nil, 0, refused(collective.ErrTooMuch, false, how)
	}
	return value, size, nil
}

//export simclrKeyValueGet
func simclrKeyValueGet(a *C.PJRT_KeyValueGetCallback_Args) (err *C.PJRT_Error) {
	a.value, a.value_size, err = got(a.user_arg, keyOf(a.key, a.key_size), time.Duration(a.timeout_in_ms)*time.Millisecond, true, a.callback_error)
	a.value_deleter_callback = C.PJRT_KeyValueGetCallback_ValueDeleter(C.free)
	return err
}

//export simclrKeyValueTryGet
func simclrKeyValueTryGet(a *C.PJRT_KeyValueTryGetCallback_Args) (err *C.PJRT_Error) {
	a.value, a.value_size, err = got(a.user_arg, keyOf(a.key, a.key_size), 0, false, a.callback_error)
	a.value_deleter_callback = C.PJRT_KeyValueTryGetCallback_ValueDeleter(C.free)
	return err
}

//export simclrKeyValuePut
func simclrKeyValuePut(a *C.PJRT_KeyValuePutCallback_Args) *C.PJRT_Error {
	p := processesOf(a.user_arg)
	value := C.GoBytes(unsafe.Pointer(a.value), C.int(min(a.value_size, collective.ValueLimit+1)))
	if err := p.Store.Put(p.context(), keyOf(a.key, a.key_size), value); err != nil {
		return refused(err, false, a.callback_error)
	}
	return nil
}

// checkShared is an error where the devices of several processes cannot share a batch: no process has all of it.
func (e *Engine) checkShared(p engine.Program, programs []*emit.Program) error {
	if e.options.Processes == nil {
		return nil
	}
	for i, q := range programs {
		for _, in := range q.Inputs {
			if in.Kind == emit.Feed && !in.Shared && len(e.mesh.ids) > 1 && slices.Contains(p.Segments[i].Images, in.Node) {
				return fmt.Errorf("xla: %d devices cannot share the %d rows of %s evenly", len(e.mesh.ids), in.Shape[0], in.Name)
			}
		}
	}
	return nil
}

// checkFeeds is engine.CheckFeeds. Of several processes each feeds its own rows of what devices share.
func (x *Executable) checkFeeds(segment int, feeds []engine.Tensor) error {
	s := x.p.Segments[segment]
	if x.e.options.Processes == nil || len(feeds) != len(s.Feeds) {
		return engine.CheckFeeds(s, feeds)
	}
	for i, f := range feeds {
		want := slices.Clone([]int(s.Feeds[i].Shape()))
		for _, in := range x.programs[segment].Inputs {
			if in.Node == s.Feeds[i] && in.Shared {
				want[0] /= x.e.options.Processes.Size
			}
		}
		if !slices.Equal(f.Shape, want) || f.Remote == nil && len(f.Data) != engine.Size(want) {
			return fmt.Errorf("segment %s: feed %s has shape %v and %d values, not %v, which is this process's part", s.Name, s.Feeds[i].Name(), f.Shape, len(f.Data), want)
		}
	}
	return nil
}
