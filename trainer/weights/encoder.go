package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Encoder are an encoder's tensors by torchvision's names, in torchvision's order: a batch norm's running
// statistics follow its bias. batches is num_batches_tracked.
func Encoder(c model.Config, get Getter, batches int64) ([]safetensors.Tensor, error) {
	ps, stats, err := model.Encoder(c)
	if err != nil {
		return nil, err
	}
	channels := make(map[string]int, len(stats))
	for _, s := range stats {
		channels[s.Name] = s.Channels
	}
	var out []safetensors.Tensor
	for _, p := range ps {
		v, err := get(p.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: v.Data})
		layer, ok := strings.CutSuffix(p.Name, ".bias")
		n := channels[layer]
		if !ok || n == 0 {
			continue
		}
		running, err := get(model.RunningName(layer))
		if err != nil {
			return nil, err
		}
		out = append(out,
			safetensors.Tensor{Name: layer + ".running_mean", Shape: []int{n}, Data: running.Data[:n]},
			safetensors.Tensor{Name: layer + ".running_var", Shape: []int{n}, Data: running.Data[n:]},
			safetensors.Tensor{Name: layer + ".num_batches_tracked", Shape: []int{}, Int64: []int64{batches}})
	}
	return out, nil
}

// SetEncoder sets an encoder's parameters and running statistics from tensors of torchvision's names.
func SetEncoder(c model.Config, from []safetensors.Tensor, set Setter) error {
	ps, stats, err := model.Encoder(c)
	if err != nil {
		return err
	}
	byName := index(from)
	for _, p := range ps {
		t, ok := byName[p.Name]
		if !ok {
			return fmt.Errorf("the encoder has no tensor %q", p.Name)
		}
		if err := set(p.Name, engine.Tensor{Shape: t.Shape, Data: t.Data}); err != nil {
			return err
		}
	}
	for _, s := range stats {
		mean, ok := byName[s.Name+".running_mean"]
		variance, found := byName[s.Name+".running_var"]
		if !ok || !found || len(mean.Data) != s.Channels || len(variance.Data) != s.Channels {
			return fmt.Errorf("the encoder has no running statistics of %d channels for %q", s.Channels, s.Name)
		}
		v := engine.Tensor{Shape: []int{2, s.Channels}, Data: append(append([]float32{}, mean.Data...), variance.Data...)}
		if err := set(model.RunningName(s.Name), v); err != nil {
			return err
		}
	}
	return nil
}

// EncoderHash is the SHA-256 of every parameter and running statistic of the encoder: equal before and
// after a stage that must not change it.
func EncoderHash(c model.Config, get Getter) (string, error) {
	ts, err := Encoder(c, get, 0)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, t := range ts {
		fmt.Fprintf(h, "%s%v", t.Name, t.Shape)
		raw := make([]byte, 0, 4*len(t.Data))
		for _, v := range t.Data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Shapes are the names and shapes of an encoder's tensors, with values of zero.
func Shapes(c model.Config) ([]safetensors.Tensor, error) {
	ps, stats, err := model.Encoder(c)
	if err != nil {
		return nil, err
	}
	zeros := map[string]engine.Tensor{}
	for _, p := range ps {
		zeros[p.Name] = engine.NewTensor(p.Shape...)
	}
	for _, s := range stats {
		zeros[model.RunningName(s.Name)] = engine.NewTensor(2, s.Channels)
	}
	return Encoder(c, func(name string) (engine.Tensor, error) { return zeros[name], nil }, 0)
}
