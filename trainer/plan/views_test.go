package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// making is a resolved spec whose accelerator makes the views, of images of a folder.
func making(t *testing.T, a v1alpha1.AcceleratorSpec, size, batch int32, change func(*v1alpha1.SimCLRRunSpec)) *v1alpha1.SimCLRRunSpec {
	t.Helper()
	a.Augmentations = v1alpha1.AugmentationsAccelerator
	r := &v1alpha1.SimCLRRun{Spec: v1alpha1.SimCLRRunSpec{
		Dataset:     v1alpha1.DatasetSpec{URI: "pvc://data/images", Format: v1alpha1.FormatImageFolder, ImageSize: &size},
		Encoder:     v1alpha1.EncoderSpec{Depth: 18, WidthMultiplier: "1"},
		BatchSize:   batch,
		Accelerator: a,
		Pretraining: v1alpha1.PretrainingSpec{Precision: v1alpha1.BF16},
	}}
	if size > 64 {
		r.Spec.Encoder.Depth = 50
	}
	if change != nil {
		change(&r.Spec)
	}
	r, err := v1alpha1.Resolve(r)
	if err != nil {
		t.Fatal(err)
	}
	return &r.Spec
}

// Views that were compiled in at least three batches for a kind of device are predicted by those of other batches within 15%, where
// they are between them.
func TestViewsPredictedWithoutThemselves(t *testing.T) {
	all, tested := compilationsOfViews(), map[string]int{}
	for _, row := range all {
		name := fmt.Sprintf("%s, %d px of %d", row.family, row.views.size, row.views.edge)
		same, _ := alikeViews(all, row.family, row.views)
		others := slices.DeleteFunc(slices.Clone(same), func(r compiledViews) bool { return r.views.images == row.views.images })
		at := batches(others)
		if len(at) < 2 || row.views.images < at[0] || row.views.images > at[len(at)-1] {
			continue
		}
		tested[name]++
		n, _ := predictViews(others, row.family, row.views)
		for j, want := range row.needs.list() {
			if got := n.list()[j]; !(math.Abs(got/want-1) <= tableError) {
				t.Errorf("%s, %d images a device: %s is predicted as %.4g, and is %.4g (%+.1f%%)", name, row.views.images,
					[]string{"memory", "FLOPs", "bytes moved"}[j], got, want, 100*(got/want-1))
			}
		}
	}
	t.Logf("rows that were tested: %v", tested)
	for _, name := range []string{"cuda, 32 px of 32", "cuda, 224 px of 448"} {
		if tested[name] == 0 {
			t.Errorf("%s: no row is between others", name)
		}
	}
}

// Views of another size, or for another kind of device, are estimated by those that are there: within a factor, which Check knows.
func TestViewsEstimatedByOthers(t *testing.T) {
	all := compilationsOfViews()
	for _, row := range all {
		others := slices.DeleteFunc(slices.Clone(all), func(r compiledViews) bool { return r.views.size == row.views.size && r.family == row.family })
		n, exact := predictViews(others, row.family, row.views)
		if ratio := float64(n.MemoryBytes) / float64(row.needs.MemoryBytes); exact || !(ratio > 0.5 && ratio <= 1/estimateError) {
			t.Errorf("%s, %d px, %d images: memory is predicted as %.3g of what it is, exact %v", row.family, row.views.size, row.views.images, ratio, exact)
		}
	}
}

// What the table has is told as it is there.
func TestViewsAsCompiled(t *testing.T) {
	for _, row := range compilationsOfViews() {
		n, exact := predictViews(compilationsOfViews(), row.family, row.views)
		if !exact || math.Abs(float64(n.MemoryBytes)/float64(row.needs.MemoryBytes)-1) > 0.001 || math.Abs(n.BytesMoved/row.needs.BytesMoved-1) > 0.001 {
			t.Errorf("%s, %d px, %d images: %+v, exact %v; want %+v", row.family, row.views.size, row.views.images, n, exact, row.needs)
		}
	}
}

// No row at all: views are counted, and that is an estimate.
func TestViewsWithoutATable(t *testing.T) {
	v := viewsOf{size: 224, edge: 448, images: 256, operations: "color, blur"}
	n, exact := predictViews(nil, "cuda", v)
	least := int64(2 * 256 * (3*448*448 + 4*3*224*224)) // sources and views
	if exact || n.MemoryBytes < 2*least || n.MemoryBytes > 20*least {
		t.Errorf("%+v, exact %v; sources and views are %d", n, exact, least)
	}
}

func TestViewsOfARun(t *testing.T) {
	h200 := v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200"}
	v5e := v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v5e", Topology: "4x4", DevicesPerWorker: new(int32(4))}
	cifar := func(s *v1alpha1.SimCLRRunSpec) { s.Dataset = v1alpha1.DatasetSpec{Name: "cifar-10"} }
	for name, tc := range map[string]struct {
		spec     *v1alpha1.SimCLRRunSpec
		edge     int // 0: the host makes them
		estimate bool
		says     string
	}{
		"as compiled":     {making(t, h200, 224, 512, nil), 448, false, "Meanwhile it makes the next step's views, each of up to 448×448 pixels (accelerator.augmentations): "},
		"between":         {making(t, h200, 224, 300, nil), 448, false, "(as its compiler says of such views)"},
		"larger":          {making(t, h200, 224, 8192, nil), 448, true, "estimate: no such views"},
		"CIFAR":           {making(t, h200, 32, 1024, cifar), 32, false, "of up to 32×32 pixels"},
		"small, any size": {making(t, h200, 32, 1024, nil), 64, true, "of up to 64×64 pixels"},
		"another GPU":     {making(t, v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-L4"}, 224, 256, nil), 448, true, "estimate: no such views"},
		"other operations": {making(t, h200, 224, 256, func(s *v1alpha1.SimCLRRunSpec) {
			s.Augmentations = &v1alpha1.AugmentationsSpec{GaussianBlur: &v1alpha1.GaussianBlurSpec{Mode: v1alpha1.Disabled}}
		}), 448, true, "estimate: no such views"},
		"a shared crop": {making(t, h200, 224, 256, func(s *v1alpha1.SimCLRRunSpec) {
			s.Augmentations = &v1alpha1.AugmentationsSpec{Branches: v1alpha1.BranchesOne}
		}), 224, true, "of up to 224×224 pixels"},
		"a slice":       {making(t, v5e, 224, 1024, nil), 448, true, "estimate: no such views"},
		"micro-batches": {making(t, h200, 224, 1024, func(s *v1alpha1.SimCLRRunSpec) { s.Pretraining.MicroBatchSize = new(int32(256)) }), 448, false, "Before each pass it makes the views of a micro-batch, each of up to"},
		"by the host":   {making(t, h200, 224, 256, nil), 0, false, "as its compiler says of steps like it"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.edge == 0 {
				tc.spec.Accelerator.Augmentations = v1alpha1.AugmentationsHost
			}
			a, err := Accelerate(tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(a.String(), tc.says) {
				t.Error(a)
			}
			if tc.edge == 0 {
				if a.Views != nil || a.Memory() != a.MemoryBytes {
					t.Errorf("%+v", a.Views)
				}
				return
			}
			v := a.Views
			if v == nil || v.Edge != tc.edge || v.Estimate != tc.estimate || a.Memory() != a.MemoryBytes+v.MemoryBytes {
				t.Fatalf("%+v, %d in all", v, a.Memory())
			}
			rows := int64(2 * a.Images)
			if least := rows * int64(3*tc.edge*tc.edge+4*3*a.step.size*a.step.size); v.MemoryBytes < least {
				t.Errorf("needs %d, and its sources and views are %d", v.MemoryBytes, least)
			}
			if !strings.Contains(a.String(), bytes(v.MemoryBytes)+" of memory more, "+bytes(a.Memory())+" with the step's") {
				t.Error(a)
			}
		})
	}
}

// A run that fits with the host's views alone is told so.
func TestViewsThatDoNotFit(t *testing.T) {
	small := func(s *v1alpha1.SimCLRRunSpec) { s.Encoder = v1alpha1.EncoderSpec{Depth: 18, WidthMultiplier: "0.1"} }
	for batch := int32(256); batch <= 1<<16; batch *= 2 {
		spec := making(t, v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200"}, 224, batch, small)
		a, err := Accelerate(spec)
		if err != nil {
			t.Fatal(err)
		}
		err = a.Check()
		onHost := *spec
		onHost.Accelerator.Augmentations = v1alpha1.AugmentationsHost
		host, hostErr := Accelerate(&onHost)
		if hostErr != nil {
			t.Fatal(hostErr)
		}
		if err == nil || host.Check() != nil || host.Memory() > host.Chip.Usable {
			continue
		}
		for _, want := range []string{
			"needs about " + bytes(a.Memory()) + " of memory (" + bytes(a.Views.MemoryBytes) + " of it to make views)",
			"suspend the run and set accelerator.augmentations to Host",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("batch %d: got %v, want %q", batch, err, want)
			}
		}
		fits := *spec
		fits.BatchSize = int32(a.most())
		if a, err = Accelerate(&fits); err != nil || a.Memory() > a.Chip.Usable || fits.BatchSize >= batch {
			t.Errorf("batch %d of %d is said to fit: %v, needs %s", fits.BatchSize, batch, err, bytes(a.Memory()))
		}
		return
	}
	t.Error("of no batch the step fits, and not its views")
}

func TestViewOperations(t *testing.T) {
	on, off := v1alpha1.Enabled, v1alpha1.Disabled
	for name, tc := range map[string]struct {
		size    int32
		changed v1alpha1.AugmentationsSpec
		want    string
	}{
		"small":       {32, v1alpha1.AugmentationsSpec{}, "color"},
		"large":       {224, v1alpha1.AugmentationsSpec{}, "color, blur"},
		"fixed order": {32, v1alpha1.AugmentationsSpec{ColorDistortion: &v1alpha1.ColorDistortionSpec{Order: v1alpha1.OrderFixed}}, "color in a fixed order"},
		"crop alone":  {32, v1alpha1.AugmentationsSpec{ColorDistortion: &v1alpha1.ColorDistortionSpec{Mode: off}}, "none"},
		"all": {224, v1alpha1.AugmentationsSpec{Cutout: &v1alpha1.CutoutSpec{Mode: on}, Sobel: &v1alpha1.SobelSpec{Mode: on},
			GaussianNoise: &v1alpha1.GaussianNoiseSpec{Mode: on}, Rotation: &v1alpha1.RotationSpec{Mode: on}}, "cutout, color, sobel, noise, blur, rotation"},
	} {
		s := making(t, v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}, tc.size, 64, func(s *v1alpha1.SimCLRRunSpec) { s.Augmentations = &tc.changed })
		if got := ViewOperations(s.Augmentations); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestSourceEdge(t *testing.T) {
	for name, tc := range map[string]struct {
		size, longest int
		shared        bool
		want          int
	}{
		"any images":    {224, 0, false, 448},
		"small images":  {32, 32, false, 32},
		"large images":  {32, 500, false, 64},
		"a shared crop": {32, 0, true, 32},
	} {
		if got := SourceEdge(tc.size, tc.longest, tc.shared); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
	for name, tc := range map[string]struct {
		of   v1alpha1.DatasetSpec
		want int
	}{
		"CIFAR-10":      {v1alpha1.DatasetSpec{Name: "cifar-10"}, 32},
		"Fashion-MNIST": {v1alpha1.DatasetSpec{Name: "fashion-mnist"}, 28},
		"CIFAR":         {v1alpha1.DatasetSpec{URI: "pvc://data", Format: v1alpha1.FormatCIFAR}, 32},
		"IDX":           {v1alpha1.DatasetSpec{URI: "pvc://data", Format: v1alpha1.FormatIDX}, 28},
		"folder":        {v1alpha1.DatasetSpec{URI: "pvc://data", Format: v1alpha1.FormatImageFolder}, 0},
	} {
		if got := LongestSide(tc.of); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
