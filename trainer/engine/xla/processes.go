package xla

/*
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"

static PJRT_Error *refuse(PJRT_CallbackError *make, PJRT_Error_Code code, const char *message, size_t size) {
	return (*make)(code, message, size);
}
*/
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"time"
	"unsafe"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
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
	return (*(*cgo.Handle)(handle)).Value().(*Processes)
}

func keyOf(key *C.char, size C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(key)), int(size)))
}

// given copies a value to memory that the plugin frees by C's free.
func given(value []byte) (*C.char, C.size_t) {
	at := C.malloc(C.size_t(max(len(value), 1)))
	copy(unsafe.Slice((*byte)(at), len(value)), value)
	return (*C.char)(at), C.size_t(len(value))
}

//export simclrKeyValueGet
func simclrKeyValueGet(a *C.PJRT_KeyValueGetCallback_Args) *C.PJRT_Error {
	p := processesOf(a.user_arg)
	value, err := p.Store.Get(p.context(), keyOf(a.key, a.key_size), time.Duration(a.timeout_in_ms)*time.Millisecond)
	if err != nil {
		return refused(err, true, a.callback_error)
	}
	a.value, a.value_size = given(value)
	a.value_deleter_callback = C.PJRT_KeyValueGetCallback_ValueDeleter(C.free)
	return nil
}

//export simclrKeyValueTryGet
func simclrKeyValueTryGet(a *C.PJRT_KeyValueTryGetCallback_Args) *C.PJRT_Error {
	p := processesOf(a.user_arg)
	value, err := p.Store.Get(p.context(), keyOf(a.key, a.key_size), 0)
	if err != nil {
		return refused(err, false, a.callback_error)
	}
	a.value, a.value_size = given(value)
	a.value_deleter_callback = C.PJRT_KeyValueTryGetCallback_ValueDeleter(C.free)
	return nil
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
