package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// ntxent is the loss, its gradient and the contrastive accuracy of n images' z, compiled.
func ntxent(t testing.TB, e engine.Engine, n, dimension int) *executable {
	t.Helper()
	p, err := model.NTXent(2*n, dimension, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x.(*executable)
}

// Loss, accuracy and gradient come from one pass over the similarities: equal to the formula in float64, also
// where the last block of anchors is not full.
func TestNTXentAtOnce(t *testing.T) {
	e := newEngine(t)
	for _, n := range []int{1, 2, 63, 64, 150} {
		for _, temperature := range []float64{0.05, 0.5} {
			t.Run(fmt.Sprintf("N=%d, temperature %v", n, temperature), func(t *testing.T) {
				const dimension = 16
				z := engine.NewTensor(2*n, dimension)
				r := rand.New(rand.NewPCG(1, 2))
				for i := range z.Data {
					z.Data[i] = float32(r.NormFloat64())
				}
				for i := range n * dimension / 2 { // of half of the images the views agree
					z.Data[n*dimension+i] = z.Data[i] + 0.1*z.Data[n*dimension+i]
				}
				p, err := model.NTXent(2*n, dimension, temperature)
				if err != nil {
					t.Fatal(err)
				}
				x, err := e.Compile(p)
				if err != nil {
					t.Fatal(err)
				}
				defer x.Close()
				out, err := x.Run(0, z, engine.Scalar(3))
				if err != nil {
					t.Fatal(err)
				}
				wide := make([]float64, len(z.Data))
				for i, v := range z.Data {
					wide[i] = float64(v)
				}
				if got, want := float64(out[0].Data[0]), contrastive.Loss(wide, 2*n, temperature); !(math.Abs(got-want) < 1e-5*max(want, 0.1)) {
					t.Errorf("loss %v, want %v", got, want)
				}
				if got, want := float64(out[1].Data[0]), contrastive.Accuracy(wide, 2*n); math.Abs(got-want) > 1e-6 {
					t.Errorf("accuracy %v, want %v", got, want)
				}
				largest, off := 1e-3, 0.
				for i, g := range contrastive.Gradient(wide, 2*n, temperature) {
					largest, off = max(largest, math.Abs(3*g)), max(off, math.Abs(3*g-float64(out[2].Data[i])))
				}
				if !(off < 1e-5*largest) {
					t.Errorf("the gradient is off by %.1e of its largest value", off/largest)
				}
			})
		}
	}
}

// A z that is not a number shows in the loss, wherever it stands.
func TestNTXentOfNoNumbers(t *testing.T) {
	x := ntxent(t, newEngine(t), 40, 8)
	for _, at := range []int{0, 7, 79*8 + 3} {
		z := engine.NewTensor(80, 8)
		for i := range z.Data {
			z.Data[i] = float32(i%5) + 1
		}
		z.Data[at] = float32(math.NaN())
		out, err := x.Run(0, z, engine.Scalar(1))
		if err != nil || !math.IsNaN(float64(out[0].Data[0])) {
			t.Errorf("with NaN at %d the loss is %v, %v", at, out[0].Data[0], err)
		}
	}
}

// All memory of NT-Xent grows with the batch, never with its square: z, its gradient, and the similarities of
// a fixed number of anchors.
func TestNTXentMemoryIsLinear(t *testing.T) {
	const dimension = 128
	e := newEngine(t)
	perImage := func(n int) float64 { return float64(ntxent(t, e, n, dimension).Bytes()) / float64(n) }
	small := perImage(512)
	// of two views in float32: z, its gradient, its unit vectors, the engine's scratch of four times as much; and
	// the similarities
	if most := 2 * 4 * float64((3+4)*dimension+anchors); small > 1.01*most {
		t.Errorf("%.0f bytes an image of a batch of 512, more than %.0f", small, most)
	}
	for n := 1024; n <= 16384; n *= 2 {
		if at := perImage(n); at > small*1.001 {
			t.Errorf("%.0f bytes an image of a batch of %d, %.0f of one of 512", at, n, small)
		}
	}
}

// BenchmarkNTXent shows that memory is linear in the batch, where time cannot be.
func BenchmarkNTXent(b *testing.B) {
	for n := 512; n <= 16384; n *= 2 {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			x := ntxent(b, newEngine(b), n, 128)
			z := engine.NewTensor(2*n, 128)
			r := rand.New(rand.NewPCG(1, 2))
			for i := range z.Data {
				z.Data[i] = float32(r.NormFloat64())
			}
			for b.Loop() {
				if _, err := x.Run(0, z, engine.Scalar(1)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(x.Bytes())/float64(n), "bytes/image")
			b.ReportMetric(float64(x.Bytes())/(1<<20), "MiB")
		})
	}
}
