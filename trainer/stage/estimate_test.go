package stage

import (
	"errors"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// What the plan says that a step needs is what engine/cpu allocates, or up to a third more: too little would end a run out of
// memory, too much would refuse one that fits.
func TestMemoryIsAsEstimated(t *testing.T) {
	e, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, tc := range map[string]struct {
		depth   int32
		width   v1alpha1.Decimal
		size    int32
		images  int32
		kernels v1alpha1.Mode // selective ones
	}{
		"the yardstick":             {18, "0.25", 32, 256, v1alpha1.Disabled},
		"its micro-batch":           {18, "0.25", 32, 16, v1alpha1.Disabled},
		"ResNet-18":                 {18, "1", 32, 32, v1alpha1.Disabled},
		"ResNet-34":                 {34, "1", 32, 16, v1alpha1.Disabled},
		"ResNet-50, CIFAR's stem":   {50, "1", 32, 8, v1alpha1.Disabled},
		"ResNet-50, ImageNet's":     {50, "1", 224, 4, v1alpha1.Disabled},
		"ResNet-18, ImageNet's":     {18, "1", 224, 4, v1alpha1.Disabled},
		"SimCLRv2's ResNet-50":      {50, "1", 224, 4, v1alpha1.Enabled},
		"narrow, CIFAR's stem":      {50, "0.25", 32, 64, v1alpha1.Enabled},
		"twice as wide a ResNet-50": {50, "2", 96, 4, v1alpha1.Disabled},
	} {
		for _, precision := range []v1alpha1.Precision{v1alpha1.FP32, v1alpha1.BF16} {
			t.Run(name+"/"+string(precision), func(t *testing.T) {
				run := &v1alpha1.SimCLRRun{Spec: v1alpha1.SimCLRRunSpec{
					Dataset:     v1alpha1.DatasetSpec{Name: "cifar-10", ImageSize: &tc.size},
					Encoder:     v1alpha1.EncoderSpec{Depth: tc.depth, WidthMultiplier: tc.width, SelectiveKernel: tc.kernels},
					BatchSize:   tc.images,
					Pretraining: v1alpha1.PretrainingSpec{Precision: precision},
					KNN:         v1alpha1.KNNSpec{Mode: v1alpha1.Disabled}, LinearEvaluation: v1alpha1.LinearEvaluationSpec{Mode: v1alpha1.Disabled},
				}}
				estimate := estimated(t, run)
				allocated, err := allocated(t, e, run)
				if precision == v1alpha1.BF16 && errors.Is(err, cpu.ErrNoBF16) {
					return // this CPU runs none
				}
				if err != nil {
					t.Fatal(err)
				}
				if ratio := float64(estimate) / float64(allocated); ratio < 1 || ratio > 4./3 {
					t.Errorf("the estimate of %d MiB is %.2f of the %d MiB that are allocated", estimate>>20, ratio, allocated>>20)
				}
			})
		}
	}
}

// estimated memory of the pretraining step but the loader's.
func estimated(t *testing.T, run *v1alpha1.SimCLRRun) int64 {
	t.Helper()
	resolved, err := v1alpha1.Resolve(run)
	if err != nil {
		t.Fatal(err)
	}
	*run = *resolved
	p, err := plan.New(run, plan.Facts{Pretraining: plan.Dataset{Train: 50000}})
	if err != nil {
		t.Fatal(err)
	}
	size := int64(*run.Spec.Dataset.ImageSize)
	const batches, views, float32Bytes = 4, 2, 4
	return p.Stages[0].MemoryBytes - batches*views*float32Bytes*int64(run.Spec.BatchSize)*3*size*size
}

// allocated memory of its network's program.
func allocated(t *testing.T, e *cpu.Engine, run *v1alpha1.SimCLRRun) (int64, error) {
	t.Helper()
	p, err := model.Contrastive(model.FromSpec(&run.Spec), int(run.Spec.BatchSize), optimizer.Config{Kind: run.Spec.Pretraining.Optimizer})
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Compile(p.Program)
	if err != nil {
		return 0, err
	}
	defer x.Close()
	return x.(interface{ Bytes() int64 }).Bytes(), nil
}
