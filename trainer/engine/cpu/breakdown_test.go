package cpu

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
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

// BenchmarkBreakdown tells where a contrastive step's time goes. The kernels and what is between them add up to the
// step.
func BenchmarkBreakdown(b *testing.B) {
	for _, bc := range []struct {
		width     float64
		images    int
		precision engine.Precision
	}{{1, 64, engine.FP32}, {1, 64, engine.BF16}, {0.25, 256, engine.FP32}} {
		b.Run(fmt.Sprintf("ResNet-18 width %v, %dx2 views, %s", bc.width, bc.images, map[engine.Precision]string{engine.FP32: "fp32", engine.BF16: "bf16"}[bc.precision]), func(b *testing.B) {
			c := model.Config{
				Depth: 18, Width: bc.width, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 32, Dimension: 128, OutputShift: true,
				Precision: bc.precision,
			}
			s := newStepper(b, newEngine(b), c, bc.images, optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4})
			breakdown(b, s, randomViews(bc.images, 32))
		})
	}
}

func breakdown(b *testing.B, s *stepper, views engine.Tensor) {
	b.Helper()
	s.step(views, 0.1)
	kernels := watch(s.net.(*executable), s.ntxent.(*executable))
	for b.Loop() {
		s.step(views, 0.1)
	}
	steps := float64(b.N)
	whole := b.Elapsed()
	milliseconds := func(d time.Duration) float64 { return d.Seconds() * 1e3 / steps }
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ms\tshare\tcalls\tGFLOP/s\tGB/s\t  kernel\t")
	rest := whole
	for _, k := range slices.SortedFunc(maps.Values(kernels), func(x, y *kernel) int { return cmp.Compare(y.time, x.time) }) {
		rest -= k.time
		fmt.Fprintf(t, "%.1f\t%.1f%%\t%d\t%.0f\t%.1f\t  %s\t\n", milliseconds(k.time), 100*k.time.Seconds()/whole.Seconds(), k.calls/b.N,
			k.flops/k.time.Seconds()/1e9, k.bytes/k.time.Seconds()/1e9, k.name)
	}
	fmt.Fprintf(t, "%.1f\t%.1f%%\t\t\t\t  between kernels\t\n", milliseconds(rest), 100*rest.Seconds()/whole.Seconds())
	fmt.Fprintf(t, "%.1f\t100%%\t\t\t\t  step\t\n", milliseconds(whole))
	if err := t.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Log("\n" + text.String())
}
