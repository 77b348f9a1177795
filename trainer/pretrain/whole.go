package pretrain

import (
	"context"
	"fmt"
	"slices"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// whole says whether the step is one program: where the engine is best at that, and its devices have all views at once. Those of
// several workers are an engine's whose processes are one program; each worker then feeds its part of the rows of the global batch,
// all first views and then all second: of two workers one feeds the first views, the other the second.
func (s *Stepper) whole(e engine.Engine) bool {
	w, ok := e.(engine.WholeStepper)
	return ok && w.WholeStep() && s.parts == 1 && s.workers.Size() == engine.Processes(e)
}

// checkJoint is an error where an engine of several processes cannot have the step as the one program that it is there.
func (s *Stepper) checkJoint(e engine.Engine) error {
	n := engine.Processes(e)
	if n == 1 || n == s.workers.Size() && s.parts == 1 && s.c.Statistics == v1alpha1.BatchNormGlobal {
		return nil
	}
	return fmt.Errorf("the devices of %d processes are one program, and it is for as many workers, each with its images at once, with batch norm's statistics Global: not for %d workers, %d micro-batches and %s",
		n, s.workers.Size(), s.parts, s.c.Statistics)
}

// compileWhole compiles the step as one program, of all workers, and draws the first weights.
func (s *Stepper) compileWhole(e engine.Engine) (err error) {
	if s.program, err = model.Whole(s.c.Model, s.c.Images*s.workers.Size(), s.c.Temperature, s.c.Optimizer); err != nil {
		return err
	}
	if s.network, err = e.Compile(s.program.Program); err != nil {
		return err
	}
	if err := weights.Initialize(s.program.Parameters, s.program.Statistics, s.c.Seed, s.network.Set); err != nil {
		return closing(err, s.network)
	}
	return nil
}

// Placer copies the next step's views to where the step runs, while another step runs; nil where they are read from the
// host's memory.
func (s *Stepper) Placer() func(views engine.Tensor) (engine.Tensor, error) {
	remote, ok := s.network.(engine.Remote)
	if !ok || s.ntxent != nil {
		return nil
	}
	return func(views engine.Tensor) (engine.Tensor, error) { return remote.Place(0, 0, views) }
}

// lastZ is everybody's z in the last step, of accelerators read from them: of several workers each reads its rows.
func (s *Stepper) lastZ() ([]float32, error) {
	if s.z.Remote == nil {
		return s.z.Data, nil
	}
	z, err := s.network.(engine.Remote).Read(s.z)
	if err != nil || z.Shape[0] == s.rows() {
		return z.Data, err
	}
	all, err := s.workers.AllGather(s.graph.Context, z.Data)
	return slices.Concat(all...), err
}

// stepAtOnce is Step by one program.
func (s *Stepper) stepAtOnce(ctx context.Context, views Views, learningRate float64) (loop.Measure, error) {
	v, err := views(ctx, 0)
	if err != nil {
		return loop.Measure{}, err
	}
	out, err := s.network.Run(0, v, engine.Scalar(1), engine.Scalar(float32(learningRate)))
	if err != nil {
		return loop.Measure{}, err
	}
	s.z = out[2]
	return loop.Measure{Loss: float64(out[0].Data[0]), Accuracy: 100 * float64(out[1].Data[0])}, nil
}
