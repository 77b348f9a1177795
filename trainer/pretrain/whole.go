package pretrain

import (
	"context"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// whole says whether the step is one program: where the engine is best at that, and all views are here at once.
func (s *Stepper) whole(e engine.Engine) bool {
	w, ok := e.(engine.WholeStepper)
	return ok && w.WholeStep() && s.parts == 1 && s.workers.Size() == 1
}

// compileWhole compiles the step as one program and draws the first weights.
func (s *Stepper) compileWhole(e engine.Engine) (err error) {
	if s.program, err = model.Whole(s.c.Model, s.c.Images, s.c.Temperature, s.c.Optimizer); err != nil {
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

// lastZ is everybody's z in the last step, of an accelerator read from it.
func (s *Stepper) lastZ() ([]float32, error) {
	if s.z.Remote == nil {
		return s.z.Data, nil
	}
	z, err := s.network.(engine.Remote).Read(s.z)
	return z.Data, err
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
