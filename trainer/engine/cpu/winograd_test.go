package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// wideCases have more tiles than are transformed at once, and a number that is no multiple of those multiplied at once.
func wideCases() map[string]optest.Case {
	const images, in, out, size = 3, 256, 288, 37 // 300 tiles
	x, w, y := n(images, in, size, size), n(out, in, 3, 3), n(images, out, size, size)
	return map[string]optest.Case{
		"convolution":   of(op.Conv2D{Stride: 1, Pad: 1}, x, w),
		"gradient by x": of(op.Conv2DGradInput{Stride: 1, Pad: 1, N: images, C: in, H: size, W: size}, w, y),
		"gradient by w": of(op.Conv2DGradWeight{Stride: 1, Pad: 1, O: out, C: in, K: 3}, x, y),
	}
}

// Of many channels and many tiles, Winograd's algorithm gives what the direct one does, and the same bits for any number of
// threads.
func TestWinogradOfManyChannels(t *testing.T) {
	for name, tc := range wideCases() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			var feeds []engine.Tensor
			for _, o := range tc.In {
				feeds = append(feeds, drawn(o, r))
			}
			p := tc.Alone(t)
			want := run(t, newEngine(t, Direct), p, feeds...)[0]
			got := run(t, newEngine(t), p, feeds...)[0]
			if d := difference(got, want); !(d < 2*roundingFP32) { // each has its own rounding
				t.Errorf("differs from the direct algorithm by %.1e of the largest value", d)
			}
			for _, threads := range []int{1, 3} {
				e, err := New(threads)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(got, run(t, e, p, feeds...)[0]); d != "" && preferred(16) == 16 { // else it is oneDNN's
					t.Errorf("%d threads give other bits than 2", threads)
				}
				_ = e.Close()
			}
		})
	}
}
