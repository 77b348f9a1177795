// Package weights moves weights between executables, checkpoints and exported encoders.
package weights

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Getter gives a copy of a variable: an engine.Executable's Get.
type Getter func(variable string) (engine.Tensor, error)

// Setter replaces a variable: an engine.Executable's Set.
type Setter func(variable string, v engine.Tensor) error

// Initialize sets every parameter to its first value for a seed, and running statistics to mean 0 and
// variance 1. Momenta stay zero.
func Initialize(ps []model.Parameter, stats []model.Statistics, seed int64, set Setter) error {
	for _, p := range ps {
		if err := set(p.Name, p.Draw(seed)); err != nil {
			return err
		}
	}
	for _, s := range stats {
		v := engine.NewTensor(2, s.Channels)
		for c := range s.Channels {
			v.Data[s.Channels+c] = 1
		}
		if err := set(model.RunningName(s.Name), v); err != nil {
			return err
		}
	}
	return nil
}

// Snapshot copies variables, in their order: parameters, momenta and running statistics.
func Snapshot(vars []engine.Variable, get Getter) ([]safetensors.Tensor, error) {
	out := make([]safetensors.Tensor, len(vars))
	for i, v := range vars {
		t, err := get(v.Name)
		if err != nil {
			return nil, err
		}
		out[i] = safetensors.Tensor{Name: v.Name, Shape: t.Shape, Data: t.Data}
	}
	return out, nil
}

// Restore sets variables to what Snapshot copied; each must be there.
func Restore(vars []engine.Variable, from []safetensors.Tensor, set Setter) error {
	byName := index(from)
	for _, v := range vars {
		t, ok := byName[v.Name]
		if !ok {
			return fmt.Errorf("the checkpoint has no %q", v.Name)
		}
		if err := set(v.Name, engine.Tensor{Shape: t.Shape, Data: t.Data}); err != nil {
			return err
		}
	}
	return nil
}

// Copy copies the encoder, and of the classifier what both have, from one executable to another.
func Copy(ps []model.Parameter, stats []model.Statistics, get Getter, set Setter) error {
	names := make([]string, 0, len(ps)+len(stats))
	for _, p := range ps {
		names = append(names, p.Name)
	}
	for _, s := range stats {
		names = append(names, model.RunningName(s.Name))
	}
	for _, name := range names {
		v, err := get(name)
		if err != nil {
			return err
		}
		if err := set(name, v); err != nil {
			return err
		}
	}
	return nil
}

func index(ts []safetensors.Tensor) map[string]safetensors.Tensor {
	m := make(map[string]safetensors.Tensor, len(ts))
	for _, t := range ts {
		m[t.Name] = t
	}
	return m
}
