package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// on is a run's spec on an accelerator.
func on(a v1alpha1.AcceleratorSpec, change func(*v1alpha1.SimCLRRunSpec)) *v1alpha1.SimCLRRunSpec {
	r := yardstick()
	s := &r.Spec
	s.Accelerator, s.Encoder.WidthMultiplier, s.Pretraining.Precision = a, "1", v1alpha1.BF16
	if change != nil {
		change(s)
	}
	return s
}

func imageNet(batch int32) func(*v1alpha1.SimCLRRunSpec) {
	return func(s *v1alpha1.SimCLRRunSpec) {
		s.Encoder.Depth, s.Encoder.Stem, s.Dataset.ImageSize, s.BatchSize = 50, v1alpha1.StemImageNet, new(int32(224)), batch
	}
}

// Each row of a network that was compiled with at least three batches for a kind of device is predicted by those of other batches
// within 15%, where it is between them: beyond them, and where there are fewer, what is not a row is called an estimate.
func TestPredictedWithoutItself(t *testing.T) {
	all, tested := compilations(), map[string]int{}
	for _, row := range all {
		name := fmt.Sprintf("%s, ResNet-%d %v×, %d px, %s", row.family, row.step.depth, row.step.width, row.step.size, row.precision)
		same, _ := alike(all, row.family, row.precision, row.step)
		others := slices.DeleteFunc(slices.Clone(same), func(r compiled) bool { return r.step.images == row.step.images })
		tested[name] += 0
		at := batches(others)
		if len(at) < 2 || row.step.images < at[0] || row.step.images > at[len(at)-1] {
			continue
		}
		tested[name]++
		n, _, _ := predict(others, row.family, row.precision, row.step)
		for j, want := range row.needs.list() {
			if got := n.list()[j]; math.Abs(got/want-1) > tableError {
				t.Errorf("%s, %d images a device: %s is predicted as %.4g, and is %.4g (%+.1f%%)", name, row.step.images,
					[]string{"memory", "FLOPs", "bytes moved"}[j], got, want, 100*(got/want-1))
			}
		}
	}
	t.Logf("rows that were tested: %v", tested)
	for _, name := range []string{
		"cuda, ResNet-18 1×, 32 px, BF16", "cuda, ResNet-50 1×, 224 px, BF16", "v3, ResNet-50 1×, 224 px, BF16", "v5e, ResNet-18 1×, 32 px, BF16",
		"cuda, ResNet-18 1×, 32 px, FP32", "cuda, ResNet-50 1×, 224 px, FP32",
	} {
		if tested[name] == 0 {
			t.Errorf("%s: no row is between others", name)
		}
	}
}

// What the table has is told as it is there.
func TestAcceleratedAsCompiled(t *testing.T) {
	for _, row := range compilations() {
		n, exact, ok := predict(compilations(), row.family, row.precision, row.step)
		if !ok || !exact || math.Abs(float64(n.MemoryBytes)/float64(row.needs.MemoryBytes)-1) > 0.001 || math.Abs(n.FLOPs/row.needs.FLOPs-1) > 0.001 {
			t.Errorf("%s, ResNet-%d, %d images: %+v, exact %v; want %+v", row.family, row.step.depth, row.step.images, n, exact, row.needs)
		}
	}
}

func TestAccelerate(t *testing.T) {
	h200 := v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200"}
	v3 := v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v3", Topology: "8x8", DevicesPerWorker: new(int32(4))}
	for name, tc := range map[string]struct {
		spec            *v1alpha1.SimCLRRunSpec
		devices, images int
		estimate        bool
		says            string
	}{
		"compiled":               {on(h200, imageNet(256)), 1, 256, false, "On each of 1 × NVIDIA-H200, a step of pretrain (256 images at once) needs "},
		"between":                {on(h200, imageNet(128)), 1, 128, false, "as its compiler says"},
		"larger":                 {on(h200, imageNet(4096)), 1, 4096, true, "estimate"},
		"another GPU":            {on(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "nvidia-tesla-t4"}, imageNet(256)), 1, 256, true, "it has 14.9 GiB, 13.4 GiB for programs"},
		"any GPU":                {on(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}, nil), 1, 256, true, "NVIDIA GPU, a step of pretrain (256 images at once) needs "},
		"GPUs of workers":        {on(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200", DevicesPerWorker: new(int32(4))}, func(s *v1alpha1.SimCLRRunSpec) { imageNet(2048)(s); s.Workers = new(int32(2)) }), 8, 256, false, "8 × NVIDIA-H200"},
		"cores of a slice":       {on(v3, imageNet(4096)), 128, 32, false, "128 × TPU v3"},
		"micro-batches":          {on(h200, func(s *v1alpha1.SimCLRRunSpec) { imageNet(1024)(s); s.Pretraining.MicroBatchSize = new(int32(256)) }), 1, 256, true, "(256 images at once)"},
		"micro-batches of hosts": {on(v3, func(s *v1alpha1.SimCLRRunSpec) { imageNet(4096)(s); s.Pretraining.MicroBatchSize = new(int32(128)) }), 128, 16, true, "(16 images at once)"},
		"in FP32":                {on(h200, func(s *v1alpha1.SimCLRRunSpec) { imageNet(256)(s); s.Pretraining.Precision = v1alpha1.FP32 }), 1, 256, false, "needs 39.4 GiB"},
		"in FP32 on TPUs":        {on(v3, func(s *v1alpha1.SimCLRRunSpec) { imageNet(4096)(s); s.Pretraining.Precision = v1alpha1.FP32 }), 128, 32, true, "estimate"},
	} {
		a, err := Accelerate(tc.spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.Devices != tc.devices || a.Images != tc.images || a.Estimate != tc.estimate || !strings.Contains(a.String(), tc.says) {
			t.Errorf("%s: %d devices, %d images, estimate %v: %s", name, a.Devices, a.Images, a.Estimate, a)
		}
	}
	for name, s := range map[string]*v1alpha1.SimCLRRunSpec{
		"on CPU":        on(v1alpha1.AcceleratorSpec{Type: v1alpha1.CPU}, nil),
		"not pretrains": on(h200, func(s *v1alpha1.SimCLRRunSpec) { s.Pretraining.From = &v1alpha1.EncoderSource{} }),
	} {
		if a, err := Accelerate(s); a != nil || err != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

// What does not fit is told with what does, and that does.
func TestAcceleratorMemory(t *testing.T) {
	h200 := v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200"}
	v5e := v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v5e", Topology: "2x2", DevicesPerWorker: new(int32(4))}
	for name, tc := range map[string]struct {
		spec *v1alpha1.SimCLRRunSpec
		want string // "": it fits
	}{
		"fits":             {on(h200, imageNet(512)), ""},
		"too many":         {on(h200, imageNet(8192)), "batchSize 8192: each of 1 devices computes 8,192 images of it at once and needs about "},
		"a slice":          {on(v5e, imageNet(4096)), "suspend the run and set accelerator.generation and topology to a slice of at least "},
		"any GPU":          {on(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}, imageNet(8192)), ""},
		"no image":         {on(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "Tesla-P4"}, func(s *v1alpha1.SimCLRRunSpec) { imageNet(64)(s); s.Encoder.WidthMultiplier = "64" }), "set encoder.widthMultiplier or dataset.imageSize lower"},
		"in micro-batches": {on(h200, func(s *v1alpha1.SimCLRRunSpec) { imageNet(8192)(s); s.Pretraining.MicroBatchSize = new(int32(256)) }), ""},
	} {
		a, err := Accelerate(tc.spec)
		if err != nil {
			t.Fatal(err)
		}
		err = a.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
		if err == nil || name == "no image" {
			continue
		}
		var micro, batch int32
		if _, after, found := strings.Cut(err.Error(), "set "+microBatchField+" to at most "); found {
			if _, err := fmt.Sscanf(after, "%d, batchSize to at most %d", &micro, &batch); err != nil {
				t.Fatal(err)
			}
		}
		fits, larger := *tc.spec, *tc.spec
		fits.BatchSize, larger.BatchSize = batch, 2*batch
		for s, want := range map[*v1alpha1.SimCLRRunSpec]bool{&fits: true, &larger: false} {
			a, err := Accelerate(s)
			if err != nil {
				t.Fatal(err)
			}
			if (a.MemoryBytes <= a.Chip.Usable) != want {
				t.Errorf("%s: batchSize %d of what is advised needs %s of %s", name, s.BatchSize, bytes(a.MemoryBytes), bytes(a.Chip.Usable))
			}
		}
		fits = *tc.spec
		fits.Pretraining.MicroBatchSize = &micro
		if a, err := Accelerate(&fits); err != nil || a.Check() != nil || a.MemoryBytes > a.Chip.Usable+a.Chip.Usable/10 {
			t.Errorf("%s: micro-batches of %d, as advised: %v, %v", name, micro, a, err)
		}
	}
}
