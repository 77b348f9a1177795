package cpu

import (
	"math"
	"slices"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// Each gradient is told once and early, the last layer's first, and from then on nothing reads or writes it: whoever is told may
// change it, as sums over workers do.
func TestGradientsAreToldEarly(t *testing.T) {
	const images = 2
	// with shortcuts, whose batch norms share a gradient
	c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 16, OutputShift: true}
	p, err := model.Contrastive(c, images, optimizer.Config{Kind: "SGD"})
	if err != nil {
		t.Fatal(err)
	}
	gradients := func(early func(segment, fetch int, value engine.Tensor)) [][]float32 {
		p.Early = early
		x, err := newEngine(t).Compile(p.Program)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		for _, q := range p.Parameters {
			if err := x.Set(q.Name, q.Draw(1)); err != nil {
				t.Fatal(err)
			}
		}
		z, err := x.Run(model.Forward, optest.Views(images, c.ImageSize))
		if err != nil {
			t.Fatal(err)
		}
		out, err := x.Run(model.Backward, engine.Tensor{Shape: z[0].Shape, Data: slices.Clone(z[0].Data)})
		if err != nil {
			t.Fatal(err)
		}
		var all [][]float32
		for _, v := range out {
			all = append(all, slices.Clone(v.Data))
		}
		return all
	}
	want := gradients(nil)
	told := map[int][]float32{}
	var order []int
	spoilt := map[*float32][]float32{} // what a buffer had
	gradients(func(segment, fetch int, v engine.Tensor) {
		if segment != model.Backward {
			return
		}
		if spoilt[&v.Data[0]] == nil {
			spoilt[&v.Data[0]] = slices.Clone(v.Data)
			for i := range v.Data {
				v.Data[i] = float32(math.NaN())
			}
		}
		if told[fetch] != nil {
			t.Errorf("the gradient of %s was told twice", p.Parameters[fetch].Name)
		}
		told[fetch], order = spoilt[&v.Data[0]], append(order, fetch)
	})
	for i, q := range p.Parameters {
		if !slices.Equal(told[i], want[i]) {
			t.Errorf("the gradient of %s was told as another, or not at all", q.Name)
		}
	}
	if first, last := order[0], order[len(order)-1]; first < len(want)/2 || last > len(want)/2 {
		t.Errorf("the first gradient that was told is that of %s, the last that of %s", p.Parameters[first].Name, p.Parameters[last].Name)
	}
}
