package xla

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
)

// connected gives each of two workers, connected over TCP, its part of one program.
func connected(t *testing.T, f func(w collective.Collective, p *Processes)) {
	t.Helper()
	at := host.FreeAddress(t)
	var wg sync.WaitGroup
	for rank := range 2 {
		wg.Go(func() {
			c := collective.Config{Rank: rank, Size: 2, Coordinator: at, Listen: "127.0.0.1:0", Key: make([]byte, 32), Times: collective.Times{Wait: time.Minute}}
			if rank == 0 {
				c.Listen = at
			}
			g, err := collective.Connect(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			f(g, &Processes{Rank: rank, Size: 2, Store: g.KeyValues()})
			if err := g.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			_ = g.Close()
		})
	}
	wg.Wait()
}

// Two clients find each other by the store that the workers have, and are told by XLA's codes what it refuses.
func TestClientsFindEachOther(t *testing.T) {
	so := xlatest.Twins(t)
	connected(t, func(_ collective.Collective, p *Processes) {
		e, err := New(Options{Plugin: so[p.Rank], Client: p.GPUOptions(), Processes: p})
		if err != nil {
			t.Errorf("process %d: %v", p.Rank, err)
			return
		}
		if got := e.Info().Devices; got != 2 {
			t.Errorf("process %d has %d devices", p.Rank, got)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A client that waits for a process that never comes ends with its context.
func TestAClientDoesNotWaitForEver(t *testing.T) {
	so := xlatest.Twins(t)
	connected(t, func(_ collective.Collective, p *Processes) {
		if p.Rank == 1 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		p.Context = ctx
		begun := time.Now()
		_, err := New(Options{Plugin: so[0], Client: p.GPUOptions(), Processes: p})
		if err == nil || !strings.Contains(err.Error(), "the store of the run's workers") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

// Two processes of two devices make the step that one process of four makes: each feeds its own rows, and has loss, its rows of z
// and the variables, the same bits. What runs is XLA's program of all four; the processes are threads, and who addresses what testdata/twin.c
// says.
func TestTwoProcessesMakeTheStepOfOne(t *testing.T) {
	const images, steps = 8, 3
	c := small()
	step := func(t *testing.T, e *Engine, of, rank int) outcome {
		p, err := model.Whole(c, images, temperature, lars)
		if err != nil {
			t.Error(err)
			return nil
		}
		x, err := e.Compile(p.Program)
		if err != nil {
			t.Error(err)
			return nil
		}
		got := outcome{}
		for _, q := range p.Parameters {
			if err := x.Set(q.Name, q.Draw(1)); err != nil {
				t.Error(err)
			}
		}
		v := optest.Views(images, c.ImageSize)
		rows := len(v.Data) / of
		v = engine.Tensor{Shape: append([]int{v.Shape[0] / of}, v.Shape[1:]...), Data: v.Data[rank*rows : (rank+1)*rows]}
		for range steps {
			placed, err := x.(engine.Remote).Place(0, 0, v)
			if err != nil {
				t.Error(err)
				return nil
			}
			out, err := x.Run(0, placed, engine.Scalar(1), engine.Scalar(0.1))
			if err != nil {
				t.Error(err)
				return nil
			}
			z, err := x.(engine.Remote).Read(out[2])
			if err != nil {
				t.Error(err)
			}
			got["loss"], got["z"] = append(got["loss"], out[0].Data...), slices.Clone(z.Data)
		}
		for _, q := range p.Variables {
			value, err := x.Get(q.Name)
			if err != nil {
				t.Error(err)
			}
			got[q.Name] = value.Data
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		return got
	}
	one, err := New(Options{Plugin: xlatest.QuickPlugin(t), Client: map[string]any{"cpu_device_count": int64(4)}})
	if err != nil {
		t.Fatal(err)
	}
	want := step(t, one, 1, 0)
	if err := one.Close(); err != nil || len(want) < 10 {
		t.Fatal(len(want), err)
	}
	so := xlatest.Twins(t)
	connected(t, func(_ collective.Collective, p *Processes) {
		e, err := New(Options{Plugin: so[p.Rank], Client: p.GPUOptions(), Processes: p})
		if err != nil {
			t.Error(err)
			return
		}
		own := maps.Clone(want)
		rows := len(want["z"]) / 2
		own["z"] = want["z"][p.Rank*rows : (p.Rank+1)*rows]
		if d := cmp.Diff(own, step(t, e, 2, p.Rank)); d != "" {
			t.Errorf("process %d (-one +two):\n%.2000s", p.Rank, d)
		}
		if _, err := e.New(uneven(t)); err == nil || !strings.Contains(err.Error(), "cannot share") {
			t.Errorf("a batch of 3 images: error %v", err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// remembering is an engine that remembers what it compiled.
type remembering struct {
	*Engine
	made *Executable
}

func (r *remembering) Compile(p engine.Program) (engine.Executable, error) {
	x, err := r.New(p)
	r.made = x
	return x, err
}

// What two workers of two devices compile is, byte by byte, what the program for all four is said to be: the one that
// hack/accelerators/emit writes for chips that are not here, and whose memory plan tells.
func TestWorkersCompileTheProgramOfAllDevices(t *testing.T) {
	const images = 8
	run := &v1alpha1.SimCLRRun{}
	run.Spec.Dataset.Name, run.Spec.BatchSize, run.Spec.Encoder = "cifar-10", images, v1alpha1.EncoderSpec{Depth: 18, WidthMultiplier: "0.05"}
	run, err := v1alpha1.Resolve(run)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := pretrain.Programs(pretrain.FromSpec(&run.Spec, images, images))
	if err != nil || len(whole) != 1 {
		t.Fatal(len(whole), err)
	}
	want, err := emit.Programs(whole[0], emit.Options{Devices: 4})
	if err != nil {
		t.Fatal(err)
	}
	so := xlatest.Twins(t)
	connected(t, func(w collective.Collective, p *Processes) {
		e, err := New(Options{Plugin: so[p.Rank], Client: p.GPUOptions(), Processes: p})
		if err != nil {
			t.Error(err)
			return
		}
		r := &remembering{Engine: e}
		s, err := pretrain.NewStepper(r, pretrain.FromSpec(&run.Spec, images/2, images/2), w)
		if err != nil {
			t.Error(err)
		} else if err := errors.Join(s.Close(), e.Close()); err != nil {
			t.Error(err)
		} else if len(r.made.programs) != 1 || !bytes.Equal(r.made.programs[0].Text, want[0].Text) {
			t.Errorf("process %d compiles another program", p.Rank)
		}
	})
}

// uneven is a step on 6 views, which four devices cannot share.
func uneven(t *testing.T) engine.Program {
	t.Helper()
	p, err := model.Whole(small(), 3, temperature, lars)
	if err != nil {
		t.Error(err)
		return engine.Program{}
	}
	return p.Program
}

// XLA's backend for CPUs is no part of several processes by this interface: it refuses the options, and asks no store. Where this
// fails, it can be tested with.
func TestTheBackendForCPUsIsAlone(t *testing.T) {
	if _, err := os.Stat(xlatest.QuickPlugin(t)); err != nil {
		t.Fatal(err)
	}
	p := &Processes{Rank: 0, Size: 2}
	_, err := New(Options{Plugin: xlatest.QuickPlugin(t), Client: p.GPUOptions(), Processes: p})
	if err == nil || !strings.Contains(err.Error(), "Unexpected option name") {
		t.Errorf("error %v", err)
	}
}
