package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Where an accelerator makes the views, a program of its own makes those of the next step while a step is computed
// (trainer/stage/ahead.go), or those of a micro-batch while what the one before it left is still there. So all that it holds, the
// sources with their parameters, its temporaries and the views that it makes, is there beside all that the step holds, whose own
// views are among the step's arguments.

// Views is what a device needs to make the views of the images that it computes at once.
type Views struct {
	Edge int // of the square of pixels that a view is made of
	Needs
	// Estimate: the compilers' table has no such views, or none for so few or so many.
	Estimate bool
}

// SourceEdge is the side of the square that holds the pixels of a view that an accelerator makes, in pixels: twice a view's, or the
// longest side of the images where that is known and less, else 0; of views that share a crop, a view's.
func SourceEdge(size, longest int, shared bool) int {
	switch {
	case shared:
		return size
	case longest > 0:
		return min(2*size, longest)
	}
	return 2 * size
}

// LongestSide of a dataset's images, in pixels, where its name or format tells it: CIFAR's and, of IDX, MNIST's; else 0.
func LongestSide(d v1alpha1.DatasetSpec) int {
	const cifar, mnist = 32, 28
	switch {
	case d.Name == "cifar-10", d.Format == v1alpha1.FormatCIFAR:
		return cifar
	case d.Name != "", d.Format == v1alpha1.FormatIDX:
		return mnist
	}
	return 0
}

// ViewOperations names what the program of views does beside cropping, mirroring and resizing, of resolved augmentations.
func ViewOperations(a *v1alpha1.AugmentationsSpec) string {
	color := "color"
	if a.ColorDistortion.Order == v1alpha1.OrderFixed {
		color = "color in a fixed order"
	}
	var names []string
	for _, o := range []struct {
		name string
		mode v1alpha1.Mode
	}{
		{"cutout", a.Cutout.Mode},
		{color, a.ColorDistortion.Mode},
		{"sobel", a.Sobel.Mode},
		{"noise", a.GaussianNoise.Mode},
		{"blur", a.GaussianBlur.Mode},
		{"rotation", a.Rotation.Mode},
	} {
		if o.mode == v1alpha1.Enabled {
			names = append(names, o.name)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// views that the accelerator makes of so many images of a device at once; nil: the host makes them.
func (a *Accelerated) views(images int) *Views {
	s, size := a.spec, a.step.size
	if s.Accelerator.Augmentations != v1alpha1.AugmentationsAccelerator || s.Augmentations == nil {
		return nil
	}
	edge := SourceEdge(size, LongestSide(s.Dataset), s.Augmentations.Branches == v1alpha1.BranchesOne)
	v := viewsOf{size, edge, images, ViewOperations(s.Augmentations)}
	n, exact := predictViews(compilationsOfViews(), a.Chip.family, v)
	return &Views{v.edge, n, !exact || !a.Chip.exact}
}

// least memory that is surely needed.
func (v *Views) least() float64 {
	if v == nil {
		return 0
	}
	return surely(v.MemoryBytes, v.Estimate)
}

// Memory that a device needs at once: for a step, and to make views meanwhile. Unit: bytes.
func (a *Accelerated) Memory() int64 { return a.MemoryBytes + a.Views.memory() }

func (v *Views) memory() int64 {
	if v == nil {
		return 0
	}
	return v.MemoryBytes
}

// viewsLine is what `simclr-trainer plan` prints of making views.
func (a *Accelerated) viewsLine() string {
	v := a.Views
	if v == nil {
		return ""
	}
	when := "Meanwhile it makes the next step's views"
	if a.Images < a.share {
		when = "Before each pass it makes the views of a micro-batch"
	}
	how := "as its compiler says of such views"
	if v.Estimate {
		how = "estimate: no such views were compiled for it"
	}
	return fmt.Sprintf("\n%s, each of up to %d×%d pixels (accelerator.augmentations): %s of memory more, %s with the step's; it computes %s and moves %s (%s).",
		when, v.Edge, v.Edge, bytes(v.MemoryBytes), bytes(a.Memory()), operations(v.FLOPs), moved(v.BytesMoved), how)
}
