package evaluate

import (
	"fmt"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// devices are an engine with so many of them; batches are those of the programs that it was given.
type devices struct {
	interp.Engine
	n       int
	batches []int
}

func (d *devices) Devices() int { return d.n }

func (d *devices) Compile(p engine.Program) (engine.Executable, error) {
	d.batches = append(d.batches, p.Segments[0].Feeds[0].Shape()[0])
	return d.Engine.Compile(p)
}

// Devices share each batch whose features are computed, whatever their number.
func TestDevicesShareInference(t *testing.T) {
	for _, n := range []int{1, 3, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			e := &devices{n: n}
			f, err := NewInference(e, tiny, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if want := n * plan.InferenceBatch(tiny.ImageSize); e.batches[0] != want {
				t.Errorf("%d images at once, want %d: as many on each of %d devices as on one", e.batches[0], want, n)
			}
		})
	}
}
