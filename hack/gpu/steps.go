package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
	"github.com/simclr-operator/simclr-operator/hack/internal/steps"
)

// parityTests compare the engine with the interpreter in float64 and with the CPU's; the precision of float32 products is the highest
// (trainer/engine/xla/emit), so that no TF32 is in them.
const parityTests = "^(TestOperatorsAgainstInterpreter|TestStepOnSeveralDevices|TestStepAgainstCPU|TestStepWithReLUAgainstCPU|TestBF16|TestMicroBatches|" +
	"TestSegments|TestGuard|TestWhatCrossesInAStep|TestPlacingWhileAStepRuns)$"

// parity runs the engine's tests on the GPU.
func parity(ctx context.Context, c *check) error {
	cmd := runs.Command(ctx, filepath.Join(c.o.pack, "xla.test"), "-test.v", "-test.run", parityTests)
	cmd.Env = append(os.Environ(), "XLA_FLAGS="+os.Getenv("XLA_FLAGS")+" --xla_gpu_autotune_level=0") // programs that run once
	out, err := cmd.CombinedOutput()
	if log := filepath.Join(c.o.output, "gpu-parity.log"); os.MkdirAll(c.o.output, 0o755) == nil {
		_ = os.WriteFile(log, out, 0o644) // the error says enough
	}
	passed, failed := outcomes(string(out))
	c.add(report.Row{Case: "engine parity: tests that pass", Unit: "tests", Ours: float64(passed), Better: report.Higher})
	c.add(report.Row{Case: "engine parity: tests that fail", Unit: "tests", Ours: float64(failed), Target: new(0.0), Better: report.Lower})
	if err != nil {
		return fmt.Errorf("%w: see gpu-parity.log: %s", err, firstFailure(string(out)))
	}
	if passed == 0 {
		return errors.New("no test ran")
	}
	return nil
}

func resnet18(ctx context.Context, c *check) error { return c.step(ctx, 18, 32, c.o.images18, "CIFAR") }

func resnet50(ctx context.Context, c *check) error {
	return c.step(ctx, 50, c.o.size50, c.o.images50, "ImageNet")
}

// step compares a step's speed with JAX's, in turns: each program has the GPU to itself, as XLA takes its memory at the start.
func (c *check) step(ctx context.Context, depth, size, images int, stem string) error {
	network := []string{"--depth", fmt.Sprint(depth), "--size", fmt.Sprint(size), "--images", fmt.Sprint(images), "--precision", "bf16"}
	ours := append([]string{filepath.Join(c.o.pack, "step"), "--stem", stem, "--threads", fmt.Sprint(c.o.Threads), "--plugin", os.Getenv(contract.EnvPlugin)}, network...)
	peer := append([]string{c.o.Python, filepath.Join(c.o.pack, "step_jax.py")}, network...)
	var rates [2][]float64
	for turn := range 2 {
		for i, args := range [][]string{ours, peer} {
			seconds, err := c.turn(ctx, args)
			if err != nil && turn == 0 {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, s := range seconds {
				rates[i] = append(rates[i], float64(images)/s)
			}
		}
		name := fmt.Sprintf("step: ResNet-%d, %d px, batch %d, BF16", depth, size, images)
		if turn > 0 { // the first turn's row is replaced: where time ends, it is there
			c.rows = c.rows[:len(c.rows)-1]
		}
		c.add(report.NewRow(name, "images/s", report.Median(rates[0]), report.Median(rates[1]), new(1.0), report.Higher))
		if err := c.write(); err != nil {
			return err
		}
	}
	c.Note("ResNet-%d: images/s of every step: ours %.0f, JAX %.0f", depth, rates[0], rates[1])
	return nil
}

// turn of a program: the seconds of its steps.
func (c *check) turn(ctx context.Context, args []string) ([]float64, error) {
	limit := time.Until(c.end)
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	p, err := steps.Start(ctx, limit, args[0], args...)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	return p.Steps(c.o.steps)
}
