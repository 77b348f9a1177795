package cpu

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// kernel is what one kind of kernel did.
type kernel struct {
	name  string
	calls int
	time  time.Duration
	flops float64 // of convolutions and matrices, as if they were computed directly
	bytes float64 // of its operands and results, each once
}

// watch times every kernel of executables from now on.
func watch(xs ...*executable) map[string]*kernel {
	kernels := map[string]*kernel{}
	for _, x := range xs {
		for _, segment := range x.segments {
			for i := range segment {
				st := &segment[i]
				k := kernels[st.name]
				if k == nil {
					k = &kernel{name: st.name}
					kernels[st.name] = k
				}
				flops, bytes, run := multiplyAdds(*st), traffic(*st), st.run
				st.run = func() error {
					start := time.Now()
					err := run()
					k.time += time.Since(start)
					k.calls, k.flops, k.bytes = k.calls+1, k.flops+2*flops, k.bytes+bytes
					return err
				}
			}
		}
	}
	return kernels
}

// multiplyAdds of a convolution or a matrix product, as if it were computed directly; 0 of others.
func multiplyAdds(s step) float64 {
	size := func(v *value) float64 { return float64(v.size()) }
	switch {
	case s.name == "convolution": // x, w → y
		return size(s.out[0]) * size(s.in[1]) / float64(s.in[1].shape[0])
	case s.name == "convolution: gradient by x": // w, dy → dx
		return size(s.in[1]) * size(s.in[0]) / float64(s.in[0].shape[0])
	case s.name == "convolution: gradient by w": // x, dy → dw
		return size(s.in[1]) * size(s.out[0]) / float64(s.out[0].shape[0])
	case strings.HasPrefix(s.name, "op.Dense"):
		// of the three matrices every dimension is in two
		n := 1.
		for _, v := range []*value{s.in[0], s.in[1], s.out[0]} {
			n *= size(v)
		}
		return math.Sqrt(n)
	}
	return 0
}

func traffic(s step) float64 {
	n := 0
	for _, v := range append(append([]*value{}, s.in...), s.out...) {
		n += 4 * v.room()
	}
	return float64(n)
}

// BenchmarkBreakdown tells where a contrastive step's time goes, in lines of JSON that hack/bench/breakdown makes tables of.
// The kernels and what is between them add up to the step.
func BenchmarkBreakdown(b *testing.B) {
	cifar := model.Config{Depth: 18, Width: 1, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 32, Dimension: 128, OutputShift: true}
	quarter, imageNet := cifar, cifar
	quarter.Width = 0.25
	imageNet.Depth, imageNet.ImageSize, imageNet.Stem = 50, 224, "ImageNet"
	for _, bc := range []struct {
		c         model.Config
		images    int
		precision engine.Precision
		name      string
	}{
		{cifar, 64, engine.FP32, "ResNet-18, 32 px, 64x2 views, fp32"},
		{cifar, 64, engine.BF16, "ResNet-18, 32 px, 64x2 views, bf16"},
		{quarter, 256, engine.FP32, "ResNet-18 width 0.25, 32 px, 256x2 views, fp32"},
		{imageNet, 16, engine.FP32, "ResNet-50, 224 px, 16x2 views, fp32"},
		{imageNet, 16, engine.BF16, "ResNet-50, 224 px, 16x2 views, bf16"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := bc.c
			c.Precision = bc.precision
			s := newStepper(b, newEngine(b), c, bc.images, optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4})
			if ks := breakdown(b, s, optest.Views(bc.images, c.ImageSize)); b.N > 1 { // not of the run that finds out b.N
				tell(b, bc.name, ks)
			}
		})
	}
}

// breakdown of b.N steps: the kernels, the longest first, what is between them, and the step.
func breakdown(b *testing.B, s *stepper, views engine.Tensor) []kernel {
	b.Helper()
	s.step(views, 0.1)
	kernels := watch(s.net.(*executable), s.ntxent.(*executable))
	for b.Loop() {
		s.step(views, 0.1)
	}
	whole := b.Elapsed()
	rest := whole
	var all []kernel
	for _, k := range slices.SortedFunc(maps.Values(kernels), func(x, y *kernel) int { return cmp.Compare(y.time, x.time) }) {
		rest -= k.time
		all = append(all, *k)
	}
	return append(all, kernel{name: "between kernels", time: rest}, kernel{name: "step", time: whole})
}

// tell a case's kernels, each a line.
func tell(b *testing.B, name string, kernels []kernel) {
	b.Helper()
	steps := float64(b.N)
	lines := json.NewEncoder(os.Stdout)
	for _, k := range kernels {
		if err := lines.Encode(map[string]any{
			"case": name, "kernel": k.name, "calls": k.calls / b.N, "milliseconds": k.time.Seconds() * 1e3 / steps,
			"gFLOPs": k.flops / k.time.Seconds() / 1e9, "gBs": k.bytes / k.time.Seconds() / 1e9,
		}); err != nil {
			b.Fatal(err)
		}
	}
}
