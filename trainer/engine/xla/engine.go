// Package xla executes graphs with XLA: on whatever a PJRT plugin drives, which is NVIDIA GPUs and TPUs.
//
// A segment is one XLA program (package emit). Variables, feeds and what a later segment reads stay on the devices; a
// variable's memory becomes its next value's. All devices that an engine has are one program: they share a batch's images,
// and batch norm and NT-Xent see the images of all.
package xla

import (
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/go-xla/pjrt"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// Engine runs programs on the devices of one client.
type Engine struct {
	client  *pjrt.Client
	plugin  *plugin
	options Options
	info    Info
	moved   moved
	mesh    mesh
	release func() // what the client was told of other processes
}

// Options of an engine.
type Options struct {
	// Plugin is the file of the PJRT plugin.
	Plugin string
	// Devices that are used, the first of those that are there; 0: all.
	Devices int
	// Float64 computes in double precision, for tests that compare executors.
	Float64 bool
	// Cache is a directory that compiled programs are kept in, so that the next start need not compile; "": none.
	Cache string
	// Log is told what was compiled, how long that took, and what was not kept; nil: nobody.
	Log *slog.Logger
	// Client are options of the plugin's own.
	Client map[string]any
	// Share of each device's memory that programs may have, from 0 to 1, taken at once, where the plugin can be told: XLA's for GPUs
	// can, and takes 0.75 by itself; 0: what the plugin takes.
	Share float32
	// Environment are variables that the plugin is to find, set in this process before it is loaded; "" removes one.
	Environment map[string]string
	// Processes that the plugin is to connect with; nil: none.
	Processes *Processes
}

// optionShare and optionTake are what XLA's client for GPUs calls the share of memory, and whether that is taken at once, which leaves no
// gaps (xla/pjrt/c/pjrt_c_api_gpu_internal.cc).
const (
	optionShare = "memory_fraction"
	optionTake  = "preallocate"
)

// clientOptions are those that a client is made with.
func (o Options) clientOptions() map[string]any {
	all := maps.Clone(o.Client)
	if o.Share > 0 {
		if all == nil {
			all = map[string]any{}
		}
		all[optionShare], all[optionTake] = o.Share, true
	}
	return all
}

// refusesShare says whether a plugin has no options for the share, or such of another type: its error names one, in whatever words (XLA's
// are ValidateCreateOptions' in xla/pjrt/c/pjrt_c_api_helpers.cc).
func refusesShare(err error) bool {
	return strings.Contains(err.Error(), optionShare) || strings.Contains(err.Error(), optionTake)
}

// Info says what an engine runs on.
type Info struct {
	Platform string `json:"platform"` // such as cuda or tpu
	Version  string `json:"version"`  // of the plugin's compiler and runtime
	API      string `json:"api"`      // of PJRT's C interface
	Devices  int    `json:"devices"`  // that are there
	Memory   int64  `json:"memory"`   // that programs may have of each device that is used, in bytes; 0: the plugin does not say
}

// New loads a plugin and takes its devices. Errors are a *PluginError where the plugin cannot serve, a *DeviceError where the
// devices cannot.
func New(o Options) (*Engine, error) {
	path, err := filepath.Abs(o.Plugin)
	if err != nil {
		return nil, &PluginError{o.Plugin, err}
	}
	if err := setEnvironment(o.Environment); err != nil {
		return nil, &PluginError{path, err}
	}
	plugin, err := load(path)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	client, inC, release, err := plugin.client(o.clientOptions(), o.Processes)
	if err != nil && o.Share > 0 && refusesShare(err) {
		o.Log.Info("the plugin cannot be told how much of the devices' memory to take", "error", firstLine(err).Error())
		o.Share = 0
		client, inC, release, err = plugin.client(o.clientOptions(), o.Processes)
	}
	if err != nil {
		return nil, &DeviceError{Plugin: path, Err: fmt.Errorf("none can be used: the node needs one, with a driver that is new enough, and the pod has to ask for it (%w)", firstLine(err))}
	}
	major, minor := plugin.Version()
	e := &Engine{client: client, plugin: plugin, release: release, options: o, info: Info{
		Platform: client.Platform(), Version: client.PlatformVersion(), API: fmt.Sprintf("%d.%d", major, minor), Devices: client.NumDevices(),
	}}
	if e.options.Devices == 0 {
		e.options.Devices = e.info.Devices
	}
	if have := e.info.Devices; have == 0 || e.options.Devices > have {
		_ = e.Close()
		return nil, &DeviceError{Plugin: path, Err: fmt.Errorf("%d devices are there, %d are wanted", have, max(o.Devices, 1))}
	}
	e.info.Memory = plugin.deviceMemory(inC, e.options.Devices)
	e.mesh = single(e.options.Devices)
	if p := o.Processes; p != nil {
		if e.mesh, err = plugin.meshOf(inC, p, o.Devices); err != nil {
			_ = e.Close()
			return nil, &DeviceError{Plugin: path, Err: err}
		}
	}
	return e, nil
}

// Name is "xla".
func (e *Engine) Name() string { return "xla" }

// Info of the engine.
func (e *Engine) Info() Info { return e.info }

// Devices of this process that share a batch.
func (e *Engine) Devices() int { return e.options.Devices }

// Processes that run the engine's programs together.
func (e *Engine) Processes() int {
	if e.options.Processes == nil {
		return 1
	}
	return e.options.Processes.Size
}

// Alone is the engine of this process's devices, without those of other processes. It is not to be closed, and ends with e.
func (e *Engine) Alone() engine.Engine { return e.alone() }

func (e *Engine) alone() *Engine {
	if e.options.Processes == nil {
		return e
	}
	own := &Engine{client: e.client, plugin: e.plugin, options: e.options, info: e.info, mesh: e.mesh.alone()}
	own.options.Processes, own.options.Devices = nil, len(own.mesh.local)
	return own
}

// WholeStep says that a training step is best one program.
func (e *Engine) WholeStep() bool { return true }

// Close gives the devices back.
func (e *Engine) Close() error {
	defer e.release()
	return e.client.Destroy()
}

// Compile compiles every segment.
func (e *Engine) Compile(p engine.Program) (engine.Executable, error) { return e.New(p) }

// New compiles a program; the concrete type gives tests float64 access to its values.
func (e *Engine) New(p engine.Program) (*Executable, error) {
	programs, err := emit.Programs(p, e.emitted())
	if err != nil {
		return nil, fmt.Errorf("xla: %w", err)
	}
	if err := e.checkShared(p, programs); err != nil {
		return nil, err
	}
	x := newExecutable(e, p, programs)
	for i, q := range programs {
		l, err := e.load(p.Segments[i].Name, q)
		if err != nil {
			_ = x.Close()
			return nil, fmt.Errorf("xla: compiling segment %s: %w", p.Segments[i].Name, e.memory(firstLine(err)))
		}
		x.loaded = append(x.loaded, l)
	}
	for _, v := range p.Variables {
		if err := x.Set(v.Name, engine.NewTensor(v.Node.Shape()...)); err != nil {
			_ = x.Close()
			return nil, err
		}
	}
	return x, nil
}

// emitted are the options of the programs' texts.
func (e *Engine) emitted() emit.Options {
	return emit.Options{Devices: len(e.mesh.ids), Float64: e.options.Float64, Platform: e.info.Platform}
}

// load compiles a segment's program, or takes it from the cache.
func (e *Engine) load(segment string, p *emit.Program) (*pjrt.LoadedExecutable, error) {
	begun := time.Now()
	c := e.client.Compile().WithStableHLO(p.Text)
	if p.Devices > 1 || e.mesh.named {
		c = c.WithShardy(len(e.mesh.local)) // what this process runs of it
	}
	kept, key := cache(e.options.Cache), e.key(p)
	var options []byte
	if e.mesh.named {
		options = e.mesh.compileOptions()
	}
	if e.options.Processes != nil {
		kept = "" // XLA's compilers for GPUs share their measurements through the store: all compile, or none does
	}
	l, made, served, err := e.plugin.compile(c, kept.read(key), options)
	if err != nil {
		return nil, err
	}
	e.options.Log.Info("compiled", "program", segment, "seconds", time.Since(begun).Seconds(), "kept", served)
	if err := kept.write(key, made); err != nil {
		e.options.Log.Warn("a compiled program is not kept", "error", err.Error())
	}
	return l, nil
}
