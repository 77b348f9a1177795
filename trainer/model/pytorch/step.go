package pytorch

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// Executable is an engine's, with values in float64 where it has them so.
type Executable interface {
	Run(segment int, feeds ...[]float64) ([][]float64, error)
	Get(variable string) ([]float64, error)
	Set(variable string, v engine.Tensor) error
}

// A Compiler is an engine's Compile.
type Compiler func(engine.Program) (Executable, error)

// Differences computes the case, and tells how far what it gets is from what PyTorch got: by what it is, as
// Summary.Difference does.
func (c Case) Differences(compile Compiler) (map[string]float64, error) {
	p, err := model.Contrastive(c.Model(), c.Images, c.Optimizer())
	if err != nil {
		return nil, err
	}
	x, err := compile(p.Program)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(p, x); err != nil {
		return nil, err
	}
	d := map[string]float64{}
	grads, err := c.backward(compile, x, d)
	if err != nil {
		return nil, err
	}
	for i, q := range p.Parameters {
		d["gradient of "+q.Name] = c.Gradients[q.Name].Difference(q.Name, grads[i])
	}
	if _, err := x.Run(model.Update, append([][]float64{{c.LearningRate}}, grads...)...); err != nil {
		return nil, err
	}
	if err := c.updated(p, x, d); err != nil {
		return nil, err
	}
	return d, c.inference(compile, x, d)
}

func (c Case) prepare(p *model.Program, x Executable) error {
	if len(p.Parameters) != len(c.Gradients) {
		return fmt.Errorf("%d parameters, PyTorch has %d", len(p.Parameters), len(c.Gradients))
	}
	if err := weights.Initialize(p.Parameters, p.Statistics, 0, x.Set); err != nil {
		return err
	}
	for _, q := range p.Parameters {
		if _, ok := c.Gradients[q.Name]; !ok {
			return fmt.Errorf("PyTorch has no parameter %s", q.Name)
		}
		if err := x.Set(q.Name, Parameter(q)); err != nil {
			return err
		}
		if err := x.Set(optimizer.MomentumName(q.Name), Velocity(q)); err != nil {
			return err
		}
	}
	return nil
}

// backward is the step until the gradients.
func (c Case) backward(compile Compiler, x Executable, d map[string]float64) ([][]float64, error) {
	out, err := x.Run(model.Forward, wide(c.Views()))
	if err != nil {
		return nil, err
	}
	z := append([]float64{}, out[0]...)
	d["z"] = c.Z.Difference("z", z)
	p, err := model.NTXent(2*c.Images, c.Dimension, c.Temperature)
	if err != nil {
		return nil, err
	}
	loss, err := compile(p)
	if err != nil {
		return nil, err
	}
	if out, err = loss.Run(0, z, []float64{1}); err != nil {
		return nil, err
	}
	d["loss"] = larger(0, out[0][0]-c.Loss) / c.Loss
	return x.Run(model.Backward, out[2])
}

func (c Case) updated(p *model.Program, x Executable, d map[string]float64) error {
	compare := func(kind, variable, name string, want map[string]Summary) error {
		v, err := x.Get(variable)
		if err == nil {
			d[kind+name] = want[name].Difference(name, v)
		}
		return err
	}
	for _, q := range p.Parameters {
		if err := compare("velocity of ", optimizer.MomentumName(q.Name), q.Name, c.Velocities); err != nil {
			return err
		}
		if err := compare("", q.Name, q.Name, c.Parameters); err != nil {
			return err
		}
	}
	for _, s := range p.Statistics {
		if err := compare("running statistics of ", model.RunningName(s.Name), s.Name, c.Running); err != nil {
			return err
		}
	}
	return nil
}

// inference compares h of the views, with the step's weights and running statistics.
func (c Case) inference(compile Compiler, trained Executable, d map[string]float64) error {
	p, err := model.Inference(c.Model(), 2*c.Images, 0)
	if err != nil {
		return err
	}
	x, err := compile(p.Program)
	if err != nil {
		return err
	}
	get := func(name string) (engine.Tensor, error) {
		v, err := trained.Get(name)
		return engine.Tensor{Shape: []int{len(v)}, Data: narrow(v)}, err
	}
	if err := weights.Copy(p.Parameters, p.Statistics, get, x.Set); err != nil {
		return err
	}
	out, err := x.Run(0, wide(c.Views()))
	if err == nil {
		d["h in inference mode"] = c.Features.Difference("features", out[0])
	}
	return err
}

// Single makes an engine whose values are float32 a Compiler.
func Single(e engine.Engine) Compiler {
	return func(p engine.Program) (Executable, error) {
		x, err := e.Compile(p)
		return single{x, p}, err
	}
}

type single struct {
	engine.Executable
	p engine.Program
}

func (s single) Run(segment int, feeds ...[]float64) ([][]float64, error) {
	ts := make([]engine.Tensor, len(feeds))
	for i, f := range feeds {
		ts[i] = engine.Tensor{Shape: s.p.Segments[segment].Feeds[i].Shape(), Data: narrow(f)}
	}
	out, err := s.Executable.Run(segment, ts...)
	if err != nil {
		return nil, err
	}
	values := make([][]float64, len(out))
	for i, t := range out {
		values[i] = wide(t)
	}
	return values, nil
}

func (s single) Get(name string) ([]float64, error) {
	t, err := s.Executable.Get(name)
	return wide(t), err
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func wide(t engine.Tensor) []float64 {
	out := make([]float64, len(t.Data))
	for i, x := range t.Data {
		out[i] = float64(x)
	}
	return out
}
