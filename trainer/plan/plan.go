// Package plan turns a resolved SimCLRRun and the facts of its data into the numbers of the run: steps,
// schedule, parameters, memory. It is pure: no files, no graph, no devices.
package plan

import (
	"math"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Dataset is what is known of a dataset.
type Dataset struct {
	Train   int // training images, after dataset.limit
	Test    int // test images
	Classes int // 0: no labels
	// ClassCounts are the training images of each class; nil where they are unknown or there are no labels.
	ClassCounts []int
}

// Facts of a run's data. They are equal where spec.evaluation is not given.
type Facts struct {
	Pretraining, Evaluation Dataset
	// Workers that pretrain together; 0: as many as the spec says.
	Workers int
	// LabelSubsets are the images of each class that a finetuning's labelSubset lists, by its name.
	LabelSubsets map[string][]int
}

// Kind of a stage.
type Kind string

// The kinds of stages.
const (
	Pretraining Kind = "Pretraining"
	TakeOver    Kind = "TakeOver" // pretraining.from: the encoder exists
	LinearSGD   Kind = "LinearSGD"
	LinearLBFGS Kind = "LinearLBFGS"
	Finetuning  Kind = "Finetuning"
)

// Stage in numbers.
type Stage struct {
	Name   string
	Kind   Kind
	Images int // that it trains on
	// LabelsPerClass of finetuning, where Dataset.ClassCounts are known, and LabelList, the file that lists them, if one
	// does.
	LabelsPerClass []int
	LabelList      string
	Batch          int // images of a step; 0 where there are no steps
	Workers        int // that share the batch; 0 is 1
	MicroBatch     int // images that a worker computes at once; of pretraining
	// ViewsTwice: the views of a step's micro-batches are made anew for its backward pass, instead of being kept.
	ViewsTwice    bool
	Epochs        int
	StepsPerEpoch int64 // the last, smaller batch of an epoch is dropped
	WarmupSteps   int64
	TotalSteps    int64 // of LinearLBFGS: iterations at most
	// PeakLearningRate after scaling by the batch size.
	PeakLearningRate float64
	Parameters       int64 // that are trained
	MemoryBytes      int64 // of a step, estimated

	batchField string // of the spec, for messages
	devices    int    // of a worker that share what it computes at once, as the spec says; 0: it does not
	need       memory
}

// Plan of a run.
type Plan struct {
	Run       string
	ImageSize int
	Network   Network
	Stages    []Stage
	// OnAccelerator: steps are in the accelerator's memory (Accelerate), and the host holds their views.
	OnAccelerator bool
}

// Stage by its name.
func (p *Plan) Stage(name string) (Stage, bool) {
	for _, s := range p.Stages {
		if s.Name == name {
			return s, true
		}
	}
	return Stage{}, false
}

// New plans a resolved run. What cannot be is a user error that names the field and the fix.
func New(run *v1alpha1.SimCLRRun, facts Facts) (*Plan, error) {
	net, err := describe(&run.Spec)
	if err != nil {
		return nil, err
	}
	b := builder{spec: &run.Spec, facts: facts, net: net}
	p := &Plan{Run: run.Name, ImageSize: net.imageSize, Network: net, OnAccelerator: run.Spec.Accelerator.Type != v1alpha1.CPU}
	makers := []func() (Stage, error){b.pretraining}
	if run.Spec.LinearEvaluation.Mode == v1alpha1.Enabled {
		makers = append(makers, b.linear)
	}
	for i := range run.Spec.Finetuning {
		makers = append(makers, func() (Stage, error) { return b.finetuning(i) })
	}
	for _, stage := range makers {
		s, err := stage()
		if err != nil {
			return nil, err
		}
		if err := s.CheckMemory(absurd); err != nil {
			return nil, err
		}
		p.Stages = append(p.Stages, s)
	}
	if run.Spec.KNN.Mode == v1alpha1.Enabled {
		if err := b.labels("knn", "knn.mode"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// LabelCount is how many images of a class that has so many are used for a fraction of the labels: the
// nearest whole number, at least one.
func LabelCount(images int, fraction float64) int {
	return min(images, max(1, int(math.Round(float64(images)*fraction))))
}

// scaled is the peak learning rate (paper section 2.2 and appendix B.1).
func scaled(rate float64, scaling string, batch int) float64 {
	switch scaling {
	case "Linear":
		return rate * float64(batch) / 256
	case "SquareRoot":
		return rate * math.Sqrt(float64(batch))
	}
	return rate
}
