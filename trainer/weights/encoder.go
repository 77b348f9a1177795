package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// layers are the parameters and statistics of a part of a network. Tensors' names lack the prefix.
type layers struct {
	what, prefix string
	ps           []model.Parameter
	stats        []model.Statistics
}

func encoderLayers(c model.Config) (layers, error) {
	ps, stats, err := model.Encoder(c)
	return layers{"encoder", "", ps, stats}, err
}

// headLayers are those up to the network's representation.
func headLayers(c model.Config) (layers, error) {
	ps, stats, err := model.Head(c)
	return layers{"projection head", model.HeadPrefix, ps, stats}, err
}

// wholeHead are all of the head's layers.
func wholeHead(c model.Config) (layers, error) {
	c.Representation = v1alpha1.FeaturesProjection
	return headLayers(c)
}

// Encoder are an encoder's tensors by torchvision's names, in torchvision's order: a batch norm's running
// statistics follow its bias. batches is num_batches_tracked.
func Encoder(c model.Config, get Getter, batches int64) ([]safetensors.Tensor, error) {
	l, err := encoderLayers(c)
	if err != nil {
		return nil, err
	}
	return l.tensors(get, batches)
}

// Head are a projection head's tensors, all layers, by the names that a torch.nn.Sequential gives them: 0.weight
// and so on. A batch norm without β has a bias of zeros. There are none where z is h.
func Head(c model.Config, get Getter, batches int64) ([]safetensors.Tensor, error) {
	l, err := wholeHead(c)
	if err != nil {
		return nil, err
	}
	return l.tensors(get, batches)
}

func (l layers) tensors(get Getter, batches int64) ([]safetensors.Tensor, error) {
	last := make(map[string]model.Statistics, len(l.stats)) // by a batch norm's last parameter
	for _, s := range l.stats {
		if s.Shift {
			last[s.Name+".bias"] = s
		} else {
			last[s.Name+".weight"] = s
		}
	}
	var out []safetensors.Tensor
	for _, p := range l.ps {
		v, err := get(p.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, safetensors.Tensor{Name: strings.TrimPrefix(p.Name, l.prefix), Shape: p.Shape, Data: v.Data})
		s, ok := last[p.Name]
		if !ok {
			continue
		}
		running, err := get(model.RunningName(s.Name))
		if err != nil {
			return nil, err
		}
		out = append(out, l.running(s, running.Data, batches)...)
	}
	return out, nil
}

// running are a batch norm's tensors after its parameters.
func (l layers) running(s model.Statistics, values []float32, batches int64) []safetensors.Tensor {
	layer, n := strings.TrimPrefix(s.Name, l.prefix), s.Channels
	var out []safetensors.Tensor
	if !s.Shift {
		out = append(out, safetensors.Tensor{Name: layer + ".bias", Shape: []int{n}, Data: make([]float32, n)})
	}
	return append(out,
		safetensors.Tensor{Name: layer + ".running_mean", Shape: []int{n}, Data: values[:n]},
		safetensors.Tensor{Name: layer + ".running_var", Shape: []int{n}, Data: values[n:]},
		safetensors.Tensor{Name: layer + ".num_batches_tracked", Shape: []int{}, Int64: []int64{batches}})
}

// SetEncoder sets an encoder's parameters and running statistics from tensors of torchvision's names.
func SetEncoder(c model.Config, from []safetensors.Tensor, set Setter) error {
	l, err := encoderLayers(c)
	if err != nil {
		return err
	}
	return l.set(from, set)
}

// SetHead sets those of the projection head's layers up to the network's representation, from Head's tensors.
func SetHead(c model.Config, from []safetensors.Tensor, set Setter) error {
	l, err := headLayers(c)
	if err != nil {
		return err
	}
	return l.set(from, set)
}

func (l layers) set(from []safetensors.Tensor, set Setter) error {
	byName := index(from)
	for _, p := range l.ps {
		name := strings.TrimPrefix(p.Name, l.prefix)
		t, ok := byName[name]
		if !ok {
			return fmt.Errorf("the %s has no tensor %q", l.what, name)
		}
		if err := set(p.Name, engine.Tensor{Shape: t.Shape, Data: t.Data}); err != nil {
			return err
		}
	}
	for _, s := range l.stats {
		name := strings.TrimPrefix(s.Name, l.prefix)
		mean, ok := byName[name+".running_mean"]
		variance, found := byName[name+".running_var"]
		if !ok || !found || len(mean.Data) != s.Channels || len(variance.Data) != s.Channels {
			return fmt.Errorf("the %s has no running statistics of %d channels for %q", l.what, s.Channels, name)
		}
		v := engine.Tensor{Shape: []int{2, s.Channels}, Data: append(append([]float32{}, mean.Data...), variance.Data...)}
		if err := set(model.RunningName(s.Name), v); err != nil {
			return err
		}
	}
	return nil
}

// EncoderHash is the SHA-256 of every parameter and running statistic of the network up to its
// representation: equal before and after a stage that must not change it.
func EncoderHash(c model.Config, get Getter) (string, error) {
	ts, err := Encoder(c, get, 0)
	if err != nil {
		return "", err
	}
	l, err := headLayers(c)
	if err != nil {
		return "", err
	}
	head, err := l.tensors(get, 0)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, t := range append(ts, head...) {
		fmt.Fprintf(h, "%s%v", t.Name, t.Shape)
		raw := make([]byte, 0, 4*len(t.Data))
		for _, v := range t.Data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Shapes are the names and shapes of the tensors of an encoder and of its whole projection head, with values
// of zero.
func Shapes(c model.Config) (encoder, head []safetensors.Tensor, err error) {
	for _, part := range []struct {
		of  func(model.Config) (layers, error)
		out *[]safetensors.Tensor
	}{{encoderLayers, &encoder}, {wholeHead, &head}} {
		l, err := part.of(c)
		if err != nil {
			return nil, nil, err
		}
		if *part.out, err = l.tensors(l.zeros(), 0); err != nil {
			return nil, nil, err
		}
	}
	return encoder, head, nil
}

// zeros gets zeros of the right shapes.
func (l layers) zeros() Getter {
	zeros := map[string]engine.Tensor{}
	for _, p := range l.ps {
		zeros[p.Name] = engine.NewTensor(p.Shape...)
	}
	for _, s := range l.stats {
		zeros[model.RunningName(s.Name)] = engine.NewTensor(2, s.Channels)
	}
	return func(name string) (engine.Tensor, error) { return zeros[name], nil }
}
