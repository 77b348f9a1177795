package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
	"github.com/simclr-operator/simclr-operator/hack/internal/steps"
)

// The engine's tests against the interpreter in float64 and the CPU's, on whole steps and on each operator; the precision of float32
// products is the highest (trainer/engine/xla/emit), so that no TF32 is in them.
const (
	stepTests     = "^(TestStepOnSeveralDevices|TestStepAgainstCPU|TestStepWithReLUAgainstCPU|TestBF16|TestMicroBatches|TestSegments|TestGuard|TestWhatCrossesInAStep|TestPlacingWhileAStepRuns)$"
	operatorTests = "^TestOperatorsAgainstInterpreter$"
)

func parity(ctx context.Context, c *check) error { return c.tests(ctx, "parity", stepTests) }

func operators(ctx context.Context, c *check) error { return c.tests(ctx, "operators", operatorTests) }

// tests of the engine on the GPU. What they have said is in a file at once, and those that were done count, whatever ends the others.
func (c *check) tests(ctx context.Context, name, pattern string) error {
	log, err := os.Create(filepath.Join(c.o.output, "gpu-"+name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	var out bytes.Buffer
	cmd := runs.Command(ctx, filepath.Join(c.o.pack, "xla.test"), "-test.v", "-test.run", pattern)
	cmd.Env = append(os.Environ(), "XLA_FLAGS="+os.Getenv("XLA_FLAGS")+" --xla_gpu_autotune_level=0") // programs that run once
	cmd.Stdout = io.MultiWriter(&out, log)
	cmd.Stderr = cmd.Stdout
	err = cmd.Run()
	passed, failed := outcomes(out.String())
	c.add(report.Row{Case: "engine's " + name + ": tests that pass", Unit: "tests", Ours: float64(passed), Better: report.Higher})
	c.add(report.Row{Case: "engine's " + name + ": tests that fail", Unit: "tests", Ours: float64(failed), Target: new(0.0), Better: report.Lower})
	if err != nil {
		return fmt.Errorf("%w: see %s: %s", err, log.Name(), firstFailure(out.String()))
	}
	if passed == 0 {
		return errors.New("no test ran")
	}
	return nil
}

func resnet18(ctx context.Context, c *check) error { return c.step(ctx, 18, 32, c.o.images18) }

func resnet50(ctx context.Context, c *check) error {
	return c.step(ctx, 50, c.o.size50, c.o.images50)
}

// compared is one of the two programs, and the images/s of its steps so far.
type compared struct {
	name  string
	args  []string
	rates []float64
}

// programs that do the same step: the network, its head without a last shift, NT-Xent and LARS. Each keeps what it has compiled for its
// next turn.
func (c *check) programs(depth, size, images int) []*compared {
	stem := "ImageNet"
	if size <= 64 { // as peer.py has it
		stem = "CIFAR"
	}
	compiled := filepath.Join(c.o.pack, "compiled")
	network := []string{"--depth", fmt.Sprint(depth), "--size", fmt.Sprint(size), "--images", fmt.Sprint(images), "--precision", "bf16"}
	return []*compared{
		{name: "ours", args: append([]string{filepath.Join(c.o.pack, "step"), "--stem", stem, "--output-shift=false", "--threads", fmt.Sprint(c.o.Threads),
			"--plugin", os.Getenv(contract.EnvPlugin), "--cache", compiled}, network...)},
		{name: "JAX", args: append([]string{"env", "JAX_COMPILATION_CACHE_DIR=" + compiled + "-jax", c.o.Python, filepath.Join(c.o.pack, "step_jax.py")}, network...)},
	}
}

// step compares a step's speed with JAX's, in turns: each program has the GPU to itself, as XLA takes its memory at the start. Where one
// fails, what the other does is measured all the same.
func (c *check) step(ctx context.Context, depth, size, images int) error {
	all := c.programs(depth, size, images)
	before := len(c.rows)
	name := fmt.Sprintf("step: ResNet-%d, %d px, batch %d, BF16", depth, size, images)
	var failed error
	for turn := range 2 {
		for _, p := range all {
			if turn > 0 && len(p.rates) == 0 {
				continue
			}
			seconds, err := c.turn(ctx, fmt.Sprintf("resnet%d-%s", depth, p.name), p.args)
			switch {
			case err != nil && turn == 0:
				failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
			case err != nil:
				c.Note("%s: its second turn is not in the figures: %v", p.name, err)
			}
			for _, s := range seconds {
				p.rates = append(p.rates, float64(images)/s)
			}
			// a turn's row is replaced: where time ends, it is there
			c.rows = append(c.rows[:before], rowOf(name, all[0].rates, all[1].rates)...)
			if err := c.write(); err != nil {
				return err
			}
		}
	}
	c.Note("ResNet-%d: images/s of every step: ours %.0f, JAX %.0f", depth, all[0].rates, all[1].rates)
	return failed
}

// rowOf a step, of ours alone where the peer has done none; none where ours has not.
func rowOf(name string, ours, peer []float64) []report.Row {
	switch {
	case len(ours) == 0:
		return nil
	case len(peer) == 0:
		return []report.Row{{Case: name, Unit: "images/s", Ours: report.Median(ours), Better: report.Higher}}
	}
	return []report.Row{report.NewRow(name, "images/s", report.Median(ours), report.Median(peer), new(1.0), report.Higher)}
}

// turn of a program: the seconds of its steps. All that one says that fails is in a file.
func (c *check) turn(ctx context.Context, name string, args []string) (seconds []float64, err error) {
	limit := time.Until(c.end)
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	p, err := steps.Start(ctx, limit, name, args...)
	if err == nil {
		defer p.Stop()
		seconds, err = p.Steps(c.o.steps)
	}
	if ended, ok := errors.AsType[*steps.EndedError](err); ok {
		_ = os.WriteFile(filepath.Join(c.o.output, "gpu-"+name+".log"), ended.Log, 0o644) // the error has the last line
	}
	return seconds, err
}
