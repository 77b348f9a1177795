package plan

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// yardstick is the run that is compared with the PyTorch program, resolved.
func yardstick() *v1alpha1.SimCLRRun {
	r := &v1alpha1.SimCLRRun{}
	r.Name = "yardstick"
	r.Spec = v1alpha1.SimCLRRunSpec{
		Dataset:        v1alpha1.DatasetSpec{ImageSize: new(int32(32))},
		Encoder:        v1alpha1.EncoderSpec{Depth: 18, WidthMultiplier: "0.25", Stem: "CIFAR", Shortcut: "Torchvision"},
		ProjectionHead: v1alpha1.ProjectionHeadSpec{Type: "NonLinear", Layers: 2, Dimension: 128, OutputNormalization: "ScaleAndShift"},
		BatchSize:      256,
		Accelerator:    v1alpha1.AcceleratorSpec{Type: v1alpha1.CPU},
		Pretraining:    v1alpha1.PretrainingSpec{Epochs: new(int32(10)), WarmupEpochs: new(int32(1)), LearningRate: new(v1alpha1.Decimal("1")), LearningRateScaling: "None"},
		KNN:            v1alpha1.KNNSpec{Mode: v1alpha1.Enabled},
		LinearEvaluation: v1alpha1.LinearEvaluationSpec{
			Mode: v1alpha1.Enabled, Method: v1alpha1.LinearLBFGS, Features: v1alpha1.FeaturesEncoder, MaxIterations: new(int32(300)),
			Epochs: new(int32(100)), LearningRate: new(v1alpha1.Decimal("0.1")),
		},
		Finetuning: []v1alpha1.FinetuningSpec{{Name: "one-percent", LabelFraction: "0.01", Features: v1alpha1.FeaturesEncoder, Epochs: new(int32(60)), LearningRate: new(v1alpha1.Decimal("0.05"))}},
	}
	return r
}

// cifar is its data: 1,000 training images a class.
func cifar() Facts {
	d := Dataset{Train: 10_000, Test: 10_000, Classes: 10, ClassCounts: []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}}
	return Facts{Pretraining: d, Evaluation: d}
}

// encoder of width 0.25: 464 + 9,344 + 33,088 + 131,712 + 525,568; head 128·128 + 2·128 + 128·128 + 2·128.
// Multiply-adds: the stem's, layer 1's, and the same for each of the others.
const yardstickEncoder, yardstickHead, yardstickMultiplyAdds = 700_176, 33_280, 442_368 + 9_437_184 + 3*8_388_608

func TestNew(t *testing.T) {
	got, err := New(yardstick(), cifar())
	if err != nil {
		t.Fatal(err)
	}
	want := &Plan{
		Run: "yardstick", ImageSize: 32,
		Network: Network{Name: "ResNet-18 (0.25×)", Features: 128, Dimension: 128, EncoderParameters: yardstickEncoder, HeadParameters: yardstickHead, MultiplyAdds: yardstickMultiplyAdds},
		Stages: []Stage{
			{Name: "pretrain", Kind: Pretraining, Images: 10_000, Batch: 256, Workers: 1, MicroBatch: 256, Epochs: 10, StepsPerEpoch: 39, TotalSteps: 390, WarmupSteps: 39, PeakLearningRate: 1, Parameters: yardstickEncoder + yardstickHead},
			{Name: "linear-eval", Kind: LinearLBFGS, Images: 10_000, TotalSteps: 300, Parameters: 1290},
			{
				Name: "one-percent", Kind: Finetuning, Images: 100, LabelsPerClass: []int{10, 10, 10, 10, 10, 10, 10, 10, 10, 10},
				Batch: 100, Epochs: 60, StepsPerEpoch: 1, TotalSteps: 60, PeakLearningRate: 0.05 * 100 / 256, Parameters: yardstickEncoder + 1290,
			},
		},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Stage{}, Network{}), cmpopts.IgnoreFields(Stage{}, "MemoryBytes")); d != "" {
		t.Error(d)
	}
	if s, ok := got.Stage("one-percent"); !ok || s.Images != 100 {
		t.Errorf("Stage gave %+v, %v", s, ok)
	}
	if _, ok := got.Stage("none"); ok {
		t.Error("Stage found none")
	}
	// what engine/cpu allocates for these steps, measured
	for stage, measured := range map[string]float64{"pretrain": 773 << 20} {
		s, _ := got.Stage(stage)
		if ratio := float64(s.MemoryBytes) / measured; math.Abs(ratio-1) > 0.2 {
			t.Errorf("stage %s: memory is estimated as %.2f of what was measured", stage, ratio)
		}
	}
}

func TestSchedules(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.SimCLRRunSpec)
		stage  string
		want   Stage // its Batch, StepsPerEpoch, TotalSteps, WarmupSteps, PeakLearningRate
	}{
		"linear scaling": {func(s *v1alpha1.SimCLRRunSpec) {
			s.BatchSize, s.Pretraining.LearningRate, s.Pretraining.LearningRateScaling = 4096, new(v1alpha1.Decimal("0.3")), "Linear"
		}, "pretrain", Stage{Batch: 4096, StepsPerEpoch: 2, TotalSteps: 20, WarmupSteps: 2, PeakLearningRate: 4.8}},
		// the paper's two rules agree at a batch of 4096 (appendix B.1)
		"square root scaling": {func(s *v1alpha1.SimCLRRunSpec) {
			s.BatchSize, s.Pretraining.LearningRate, s.Pretraining.LearningRateScaling = 4096, new(v1alpha1.Decimal("0.075")), "SquareRoot"
		}, "pretrain", Stage{Batch: 4096, StepsPerEpoch: 2, TotalSteps: 20, WarmupSteps: 2, PeakLearningRate: 4.8}},
		"no epochs": {func(s *v1alpha1.SimCLRRunSpec) {
			s.Pretraining.Epochs, s.Pretraining.WarmupEpochs = new(int32(0)), new(int32(0))
		},
			"pretrain", Stage{Batch: 256, StepsPerEpoch: 39, PeakLearningRate: 1}},
		"an encoder that exists": {func(s *v1alpha1.SimCLRRunSpec) { s.Pretraining.From = &v1alpha1.EncoderSource{Run: "other"} },
			"pretrain", Stage{}},
		"linear evaluation by SGD": {func(s *v1alpha1.SimCLRRunSpec) { s.LinearEvaluation.Method = v1alpha1.LinearSGD },
			"linear-eval", Stage{Batch: 256, StepsPerEpoch: 39, TotalSteps: 3900, PeakLearningRate: 0.1}},
		"its own batch size": {func(s *v1alpha1.SimCLRRunSpec) {
			s.LinearEvaluation.Method, s.LinearEvaluation.BatchSize = v1alpha1.LinearSGD, new(int32(512))
		}, "linear-eval", Stage{Batch: 512, StepsPerEpoch: 19, TotalSteps: 1900, PeakLearningRate: 0.2}},
		"finetuning with its own batch size": {func(s *v1alpha1.SimCLRRunSpec) { s.Finetuning[0].BatchSize = new(int32(64)) },
			"one-percent", Stage{Batch: 64, StepsPerEpoch: 1, TotalSteps: 60, PeakLearningRate: 0.0125}},
		"finetuning after micro-batches": {func(s *v1alpha1.SimCLRRunSpec) { s.Pretraining.MicroBatchSize = new(int32(32)) },
			"one-percent", Stage{Batch: 32, StepsPerEpoch: 3, TotalSteps: 180, PeakLearningRate: 0.00625}},
		"finetuning on many labels": {func(s *v1alpha1.SimCLRRunSpec) { s.Finetuning[0].LabelFraction = "0.1" },
			"one-percent", Stage{Batch: 256, StepsPerEpoch: 3, TotalSteps: 180, PeakLearningRate: 0.05}},
		"finetuning on the labels of a list": {func(s *v1alpha1.SimCLRRunSpec) {
			s.Finetuning[0].LabelFraction, s.Finetuning[0].LabelSubset = "", &v1alpha1.LabelSubset{File: "one.txt"}
		}, "one-percent", Stage{Batch: 12, StepsPerEpoch: 1, TotalSteps: 60, PeakLearningRate: 0.05 * 12 / 256}},
	} {
		t.Run(name, func(t *testing.T) {
			r := yardstick()
			tc.change(&r.Spec)
			facts := cifar()
			facts.LabelSubsets = map[string][]int{"one-percent": {5, 7}}
			p, err := New(r, facts)
			if err != nil {
				t.Fatal(err)
			}
			s, _ := p.Stage(tc.stage)
			got := Stage{Batch: s.Batch, StepsPerEpoch: s.StepsPerEpoch, TotalSteps: s.TotalSteps, WarmupSteps: s.WarmupSteps, PeakLearningRate: s.PeakLearningRate}
			if d := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(Stage{}), cmpopts.EquateApprox(1e-12, 0)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUserErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.SimCLRRunSpec, *Facts)
		want   string
	}{
		"a batch larger than the data": {func(_ *v1alpha1.SimCLRRunSpec, f *Facts) { f.Pretraining.Train = 200 }, "batchSize 256 is more than the 200 images that stage pretrain trains on; set it to at most 200"},
		"no images":                    {func(_ *v1alpha1.SimCLRRunSpec, f *Facts) { f.Pretraining.Train = 0 }, "dataset has no training images"},
		"no labels":                    {func(_ *v1alpha1.SimCLRRunSpec, f *Facts) { f.Evaluation.Classes = 0 }, "linearEvaluation needs labelled training and test images, and dataset has no labels"},
		"one class":                    {func(_ *v1alpha1.SimCLRRunSpec, f *Facts) { f.Evaluation.Classes = 1 }, "has one class only"},
		"no test images":               {func(_ *v1alpha1.SimCLRRunSpec, f *Facts) { f.Evaluation.Test = 0 }, "linearEvaluation.mode to Disabled"},
		"kNN without labels": {func(s *v1alpha1.SimCLRRunSpec, f *Facts) {
			f.Evaluation.Classes, s.LinearEvaluation.Mode, s.Finetuning = 0, v1alpha1.Disabled, nil
		}, "knn needs labelled"},
		"evaluation without labels": {func(s *v1alpha1.SimCLRRunSpec, f *Facts) {
			f.Evaluation.Classes, s.Evaluation = 0, &v1alpha1.EvaluationSpec{}
		}, "evaluation.dataset has no labels"},
		"finetuning without labels": {func(s *v1alpha1.SimCLRRunSpec, f *Facts) {
			f.Evaluation.Classes, s.LinearEvaluation.Mode = 0, v1alpha1.Disabled
		}, "finetuning[one-percent] needs labelled"},
		"finetuning's batch": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Finetuning[0].BatchSize = new(int32(128)) }, "finetuning[one-percent].batchSize 128 is more than the 100 images"},
		"linear's batch": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.LinearEvaluation.Method, s.LinearEvaluation.BatchSize = v1alpha1.LinearSGD, new(int32(20_000))
		}, "linearEvaluation.batchSize 20000 is more than the 10000 images"},
		"warmup longer than training":        {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Pretraining.WarmupEpochs = new(int32(11)) }, "pretraining.warmupEpochs 11"},
		"a micro-batch that does not divide": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Pretraining.MicroBatchSize = new(int32(100)) }, "pretraining.microBatchSize 100; set it so that it divides batchSize 256"},
		"a batch that devices cannot share":  {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Accelerator.DevicesPerWorker = new(int32(3)) }, "batchSize 256: the 3 devices of accelerator.devicesPerWorker cannot have as many each; set batchSize to a multiple"},
		"a batch that a chip's cores cannot share": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.Accelerator, s.BatchSize = v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v3", Topology: "2x2", DevicesPerWorker: new(int32(4))}, 252
		}, "batchSize 252: the 8 cores of the chips of accelerator.devicesPerWorker cannot have as many each; set batchSize to a multiple"},
		"a micro-batch that devices cannot share": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.Accelerator.DevicesPerWorker, s.Pretraining.MicroBatchSize = new(int32(8)), new(int32(4))
		}, "pretraining.microBatchSize 4: the 8 devices of accelerator.devicesPerWorker cannot have as many each; set pretraining.microBatchSize to a multiple"},
		"a batch that workers cannot share": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Workers = new(int32(3)) }, "batchSize 256; set it to a multiple of the 3 workers"},
		"a micro-batch larger than a worker's": {func(s *v1alpha1.SimCLRRunSpec, f *Facts) {
			s.Pretraining.MicroBatchSize, f.Workers = new(int32(128)), 4
		}, "pretraining.microBatchSize 128; set it so that it divides the 64 images that each of 4 workers has of batchSize 256"},
		"global statistics of micro-batches": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.Pretraining.MicroBatchSize, s.Pretraining.BatchNormStatistics = new(int32(64)), v1alpha1.BatchNormGlobal
		}, "pretraining.batchNormStatistics Global needs a worker's images at once, not in 4 micro-batches; set it to MicroBatch, or remove pretraining.microBatchSize"},
		"a worker's statistics of micro-batches": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.Pretraining.MicroBatchSize, s.Pretraining.BatchNormStatistics = new(int32(128)), v1alpha1.BatchNormWorker
		}, "pretraining.batchNormStatistics Worker needs a worker's images at once, not in 2 micro-batches"},
		"no width":                    {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.WidthMultiplier = "0" }, "encoder.widthMultiplier"},
		"less than a channel":         {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.WidthMultiplier = "0.01" }, "encoder.widthMultiplier 0.01"},
		"absurdly wide":               {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.WidthMultiplier = "1e6" }, "encoder.widthMultiplier 1e6"},
		"a depth of no ResNet":        {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.Depth = 20 }, "encoder.depth 20"},
		"kernels without bottlenecks": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.SelectiveKernel = v1alpha1.Enabled }, "encoder.selectiveKernel Enabled needs bottlenecks; set encoder.depth to 50, 101, 152 or 200, it is 18"},
		"a stem that is not there":    {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Encoder.Stem = "MNIST" }, `encoder.stem "MNIST"; set it to CIFAR or ImageNet`},
		"a head that is not there":    {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.ProjectionHead.Type = "Deep" }, `projectionHead.type "Deep"; set it to NonLinear, Linear or None`},
		"a head of four layers":       {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.ProjectionHead.Layers = 4 }, "projectionHead.layers 4; set it to 2 or 3"},
		"a linear head's first layer": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.ProjectionHead.Type, s.LinearEvaluation.Features = "Linear", "HeadFirstLayer"
		}, "linearEvaluation.features HeadFirstLayer needs projectionHead.type NonLinear, it is Linear; set it to Encoder or Projection"},
		"features that are not there": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Finetuning[0].Features = "Stem" }, `finetuning[one-percent].features "Stem"; set it to Encoder, HeadFirstLayer or Projection`},
		"more labels than all":        {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Finetuning[0].LabelFraction = "1.5" }, "finetuning[one-percent].labelFraction 1.5"},
		"a list of images without names": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) {
			s.Finetuning[0].LabelFraction, s.Finetuning[0].LabelSubset = "", &v1alpha1.LabelSubset{File: "one.txt"}
		}, "finetuning[one-percent].labelSubset: the dataset's images have no names; set labelFraction"},
		"no learning rate": {func(s *v1alpha1.SimCLRRunSpec, _ *Facts) { s.Pretraining.LearningRate = new(v1alpha1.Decimal("0")) }, "pretraining.learningRate"},
		"an absurd step": {func(s *v1alpha1.SimCLRRunSpec, f *Facts) {
			s.BatchSize, s.Dataset.ImageSize, s.Encoder.WidthMultiplier, f.Pretraining.Train = 65536, new(int32(512)), "4", 100_000
		}, "batchSize 65536: a step of stage pretrain needs about"},
	} {
		t.Run(name, func(t *testing.T) {
			r, f := yardstick(), cifar()
			tc.change(&r.Spec, &f)
			_, err := New(r, f)
			var e *contract.Error
			if !errors.As(err, &e) || e.Code != contract.ExitUserError || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a user error with %q", err, tc.want)
			}
		})
	}
}

// A classifier's parameters, and those of the head before it: h has 128 features, a hidden layer 128·128 + 2·128
// parameters, z 32 values.
func TestParametersByFeatures(t *testing.T) {
	const hidden = 128*128 + 2*128
	for name, tc := range map[string]struct {
		head                   v1alpha1.ProjectionHeadSpec
		features               v1alpha1.Features
		wantLinear, wantBefore int64
	}{
		"h":               {v1alpha1.ProjectionHeadSpec{Type: "NonLinear", Layers: 2}, "Encoder", 1290, 0},
		"first layer":     {v1alpha1.ProjectionHeadSpec{Type: "NonLinear", Layers: 3}, "HeadFirstLayer", 1290, hidden},
		"z":               {v1alpha1.ProjectionHeadSpec{Type: "NonLinear", Layers: 2}, "Projection", 330, hidden + 128*32 + 32},
		"z of a deep one": {v1alpha1.ProjectionHeadSpec{Type: "NonLinear", Layers: 3}, "Projection", 330, 2*hidden + 128*32 + 32},
		"linear z":        {v1alpha1.ProjectionHeadSpec{Type: "Linear"}, "Projection", 330, 128*32 + 32},
		"z is h":          {v1alpha1.ProjectionHeadSpec{Type: "None"}, "Projection", 1290, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := yardstick()
			r.Spec.ProjectionHead, r.Spec.LinearEvaluation.Features, r.Spec.Finetuning[0].Features = tc.head, tc.features, tc.features
			r.Spec.ProjectionHead.Dimension = 32
			p, err := New(r, cifar())
			if err != nil {
				t.Fatal(err)
			}
			linear, _ := p.Stage("linear-eval")
			finetuning, _ := p.Stage("one-percent")
			if linear.Parameters != tc.wantLinear || finetuning.Parameters != yardstickEncoder+tc.wantBefore+tc.wantLinear {
				t.Errorf("%d and %d parameters, want %d and %d", linear.Parameters, finetuning.Parameters, tc.wantLinear, yardstickEncoder+tc.wantBefore+tc.wantLinear)
			}
		})
	}
}

func TestUnlabelledDataPretrain(t *testing.T) {
	r, f := yardstick(), Facts{Pretraining: Dataset{Train: 1000}, Evaluation: Dataset{Train: 1000}}
	r.Spec.KNN.Mode, r.Spec.LinearEvaluation.Mode, r.Spec.Finetuning = v1alpha1.Disabled, v1alpha1.Disabled, nil
	if _, err := New(r, f); err != nil {
		t.Error(err)
	}
}

func TestAnUnresolvedRunIsAnError(t *testing.T) {
	r := yardstick()
	r.Spec.Pretraining.Epochs = nil
	if _, err := New(r, cifar()); err == nil || !strings.Contains(err.Error(), "must be resolved") {
		t.Errorf("got %v", err)
	}
}

func TestScaled(t *testing.T) {
	for name, tc := range map[string]struct {
		rate    float64
		scaling string
		batch   int
		want    float64
	}{
		// paper appendix B.1: at 4096, 0.3 scaled linearly and 0.075 by the square root are the same 4.8
		"linear, the paper's":      {0.3, "Linear", 4096, 4.8},
		"square root, the paper's": {0.075, "SquareRoot", 4096, 4.8},
		"linear at 256":            {0.3, "Linear", 256, 0.3},
		"none":                     {1, "None", 512, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scaled(tc.rate, tc.scaling, tc.batch); math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("rate %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLabelCount(t *testing.T) {
	for name, tc := range map[string]struct {
		images   int
		fraction float64
		want     int
	}{
		"1% of 5,000": {5000, 0.01, 50},
		"rounded":     {1050, 0.01, 11},
		"at least 1":  {10, 0.001, 1},
		"all":         {77, 1, 77},
		"none":        {0, 0.5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := LabelCount(tc.images, tc.fraction); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
	if _, all := (Dataset{Train: 1000, Classes: 10}).labels(0.001); all != 10 {
		t.Errorf("%d labels where the classes' counts are unknown, want one a class", all)
	}
}

func TestString(t *testing.T) {
	p, err := New(yardstick(), cifar())
	if err != nil {
		t.Fatal(err)
	}
	want := `yardstick: ResNet-18 (0.25×) on 32×32 pixels; encoder 700,176 parameters, 35.0 M multiply-adds an image, h 128; projection head 33,280 parameters, z 128

STAGE        KIND         IMAGES  BATCH  EPOCHS  STEPS              WARMUP  PEAK RATE  PARAMETERS  MEMORY
pretrain     Pretraining  10,000  256    10      390 (39 an epoch)  39      1          733,456     about 708 MiB
linear-eval  LinearLBFGS  10,000  -      -       at most 300        -       -          1,290       about 21 MiB
one-percent  Finetuning   100     100    60      60 (1 an epoch)    -       0.01953    701,466     about 142 MiB

A step of pretrain needs about 708 MiB at once (as set), 376 MiB in micro-batches of 128, 209 MiB in micro-batches of 64, 125 MiB in micro-batches of 32, 83 MiB in micro-batches of 16 (pretraining.microBatchSize).

one-percent uses 100 labels, 10 of each of 10 classes.
`
	if d := cmp.Diff(want, p.String()); d != "" {
		t.Error(d)
	}
}

// Of a run on an accelerator the table has what its host holds: the step is in the accelerator's memory, of which Accelerated tells.
func TestStringOnAnAccelerator(t *testing.T) {
	r := yardstick()
	r.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU}
	p, err := New(r, cifar())
	if err != nil {
		t.Fatal(err)
	}
	want := `
STAGE        KIND         IMAGES  BATCH  EPOCHS  STEPS              WARMUP  PEAK RATE  PARAMETERS  HOST'S MEMORY
pretrain     Pretraining  10,000  256    10      390 (39 an epoch)  39      1          733,456     about 24 MiB
linear-eval  LinearLBFGS  10,000  -      -       at most 300        -       -          1,290       about 21 MiB
one-percent  Finetuning   100     100    60      60 (1 an epoch)    -       0.01953    701,466     -

one-percent uses 100 labels, 10 of each of 10 classes.
`
	_, got, _ := strings.Cut(p.String(), "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Workers share the batch, by the spec or as many as there are, and the table says so; the steps stay those of one.
func TestWorkersShareABatch(t *testing.T) {
	whole, err := New(yardstick(), cifar())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		spec        int32
		there       int
		micro       int32 // 0: all at once
		share       int
		table       string
		leastMemory float64 // of one worker's step
	}{
		"by the spec":      {2, 0, 0, 128, "256 (2 workers×1×128)", 0.4},
		"of those there":   {4, 2, 0, 128, "256 (2 workers×1×128)", 0.4},
		"in micro-batches": {2, 0, 32, 128, "256 (2 workers×4×32)", 0.1},
		"one of two":       {2, 1, 0, 256, "  256  ", 0.99},
	} {
		t.Run(name, func(t *testing.T) {
			r, f := yardstick(), cifar()
			r.Spec.Workers, f.Workers = new(tc.spec), tc.there
			if tc.micro > 0 {
				r.Spec.Pretraining.MicroBatchSize = new(tc.micro)
			}
			p, err := New(r, f)
			if err != nil {
				t.Fatal(err)
			}
			s, one := p.Stages[0], whole.Stages[0]
			if s.Share() != tc.share || s.TotalSteps != one.TotalSteps || s.PeakLearningRate != one.PeakLearningRate {
				t.Errorf("a worker has %d of %d images in %d steps at %v", s.Share(), s.Batch, s.TotalSteps, s.PeakLearningRate)
			}
			if ratio := float64(s.MemoryBytes) / float64(one.MemoryBytes); ratio < tc.leastMemory || tc.share < 256 && ratio > tc.leastMemory+0.2 {
				t.Errorf("a worker's step needs %.2f of one worker's memory", ratio)
			}
			if !strings.Contains(p.String(), tc.table) {
				t.Errorf("want it to say %q:\n%s", tc.table, p)
			}
		})
	}
}
