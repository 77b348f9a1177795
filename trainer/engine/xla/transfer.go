package xla

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// onDevices is a value: one buffer a device.
type onDevices []*pjrt.Buffer

// Close frees it.
func (v onDevices) Close() error { return destroy(v...) }

// moved counts the bytes that crossed between the host and the devices.
type moved struct{ in, out atomic.Int64 }

// Place copies a feed to the devices. It may be called while a segment runs.
func (x *Executable) Place(segment, feed int, v engine.Tensor) (engine.Tensor, error) {
	node := x.p.Segments[segment].Feeds[feed]
	for _, in := range x.programs[segment].Inputs {
		if in.Node == node {
			placed, err := x.upload(in.Shape, in.Shared, v.Data)
			return engine.Tensor{Shape: v.Shape, Remote: placed}, err
		}
	}
	return v, nil // the segment does not read it
}

// Read copies a fetch that was left on the devices, of what processes share this one's rows.
func (x *Executable) Read(v engine.Tensor) (engine.Tensor, error) {
	data, err := x.e.download(v.Remote.(onDevices))
	shape := slices.Clone(v.Shape)
	shape[0] = len(data) / engine.Size(shape[1:])
	return engine.Tensor{Shape: shape, Data: data}, err
}

// fed is a feed on the devices: it is there already, or data of the host.
func (x *Executable) fed(in emit.Port, v any) (onDevices, error) {
	if placed, ok := v.(onDevices); ok {
		return placed, nil
	}
	return x.upload(in.Shape, in.Shared, v)
}

// exact is the type of what comes from and goes to the host.
func (e *Engine) exact() dtypes.DType {
	if e.options.Float64 {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// upload copies values, []float32 or []float64, to the devices: to each its part of the first axis where it is shared.
func (x *Executable) upload(shape []int, shared bool, data any) (onDevices, error) {
	return x.e.upload(x.e.exact(), shape, shared, x.raw(data))
}

// upload copies bytes of a type to this process's devices: of what is shared its rows alone.
func (e *Engine) upload(of dtypes.DType, shape []int, shared bool, raw []byte) (onDevices, error) {
	shape = append([]int{}, shape...)
	size := len(raw)
	if shared {
		shape[0] /= len(e.mesh.ids)
		size /= len(e.mesh.local)
	}
	v := make(onDevices, len(e.mesh.local))
	for device := range v {
		mine := raw
		if shared {
			mine = raw[device*size : (device+1)*size]
		}
		e.moved.in.Add(int64(len(mine)))
		b, err := e.client.BufferFromHost().FromRawData(mine, of, shape).ToDeviceNum(e.mesh.local[device]).Done()
		if err != nil {
			return nil, e.failed(err, nil)
		}
		v[device] = b
	}
	return v, nil
}

// raw are the bytes of values in the type that the devices take.
func (x *Executable) raw(data any) []byte {
	if x.e.options.Float64 {
		wide, ok := data.([]float64)
		if !ok {
			wide = convert[float64](data.([]float32))
		}
		return bytesOf(wide)
	}
	return bytesOf(data.([]float32))
}

func convert[to, from float32 | float64](in []from) []to {
	if same, ok := any(in).([]to); ok {
		return same
	}
	out := make([]to, len(in))
	for i, v := range in {
		out[i] = to(v)
	}
	return out
}

func bytesOf[T float32 | float64](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(T(0)))) //nolint:gosec // of the slice's own memory
}

// download copies buffers to the host, one after another.
func (e *Engine) download(v onDevices) ([]float32, error) { return floats[float32](e, v) }

func floats[T float32 | float64](e *Engine, v onDevices) ([]T, error) {
	if e.options.Float64 {
		all, err := copied[float64](e, v)
		return convert[T](all), err
	}
	all, err := copied[float32](e, v)
	return convert[T](all), err
}

func copied[T float32 | float64](e *Engine, v onDevices) ([]T, error) {
	parts := make([][]T, len(v))
	for device, b := range v {
		var err error
		if parts[device], _, err = pjrt.BufferToArray[T](b); err != nil {
			return nil, err
		}
		e.moved.out.Add(int64(len(parts[device])) * int64(unsafe.Sizeof(T(0))))
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return slices.Concat(parts...), nil
}

// reversed is v (a, b, c) as (c, b, a): weights (O, I, k·k) as (k·k, I, O), and back.
func reversed[T any](v []T, a, b, c int) []T {
	out := make([]T, len(v))
	for i := range a {
		for j := range b {
			for k := range c {
				out[(k*b+j)*a+i] = v[(i*b+j)*c+k]
			}
		}
	}
	return out
}
