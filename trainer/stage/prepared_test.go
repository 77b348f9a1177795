package stage

import (
	"math"
	"strconv"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// Pretraining on views that the accelerator makes is that on the host's, of the whole batch at once and by micro-batches, whose
// second views are dealt out.
func TestPretrainingOnTheAcceleratorsViews(t *testing.T) {
	t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
	for name, microBatch := range map[string]*int32{"whole batch": nil, "micro-batches": new(int32(2))} {
		t.Run(name, func(t *testing.T) {
			loss := func(place v1alpha1.AugmentationsPlace) float64 {
				run := tiny(t)
				run.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(int32(2)), Augmentations: place}
				if run.Spec.Pretraining.MicroBatchSize = microBatch; microBatch != nil {
					run.Spec.Pretraining.BatchNormStatistics = v1alpha1.BatchNormMicroBatch
				}
				r := opened(t, run, folder(t), "interp")
				results, err := r.dispatch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l, err := strconv.ParseFloat(results.PretrainingLoss, 64)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			host, accelerator := loss(v1alpha1.AugmentationsHost), loss(v1alpha1.AugmentationsAccelerator)
			if !(math.Abs(host-accelerator) < 1e-3*host) {
				t.Errorf("loss %v, want %v", accelerator, host)
			}
		})
	}
}

// An engine that makes no views is told, and none is asked that need not.
func TestViewsNeedAnEngineThatMakesThem(t *testing.T) {
	run := tiny(t)
	r := opened(t, run, folder(t), "interp")
	run.Spec.Accelerator.Augmentations = v1alpha1.AugmentationsAccelerator
	if _, err := r.dispatch(t.Context()); contract.ExitCode(err) != contract.ExitUserError {
		t.Errorf("got %v", err)
	}
}
