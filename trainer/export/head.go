package export

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Head is g(·) with its weights, as spec.projectionHead.
type Head struct {
	Type                string
	Layers              int // of a nonlinear one
	Dimension           int // of z
	OutputNormalization string
	// Tensors as a torch.nn.Sequential of dense, batch norm and ReLU names them; none where z is h.
	Tensors []safetensors.Tensor
}

// CheckHead checks that the head that came with an encoder is the one that is wanted. The user error names field,
// which needs it.
func (e *Encoder) CheckHead(want Head, field string) error {
	h := e.Head
	switch {
	case h == nil:
		return mismatch("the encoder came without its projection head (%s), and %s needs that; set it to Encoder, or name an encoder that has one", HeadFile, field)
	case h.Type != want.Type:
		return mismatch("the projection head is %s; set projectionHead.type to it, it is %s, or %s to Encoder", h.Type, want.Type, field)
	case h.Layers != want.Layers:
		return mismatch("the projection head has %d layers; set projectionHead.layers to that, it is %d, or %s to Encoder", h.Layers, want.Layers, field)
	case h.Dimension != want.Dimension:
		return mismatch("the projection head's z has %d values; set projectionHead.dimension to that, it is %d, or %s to Encoder", h.Dimension, want.Dimension, field)
	case h.OutputNormalization != want.OutputNormalization:
		return mismatch("the projection head has the outputNormalization %s; set projectionHead's to it, it is %s, or %s to Encoder", h.OutputNormalization, want.OutputNormalization, field)
	}
	if err := checkTensors(HeadFile, "spec.projectionHead and spec.encoder to the trained ones", h.Tensors, want.Tensors); err != nil {
		return err
	}
	return h.checkShift()
}

// checkShift: what has only a scale after its last layer has a bias of zeros there, which is not used.
func (h *Head) checkShift() error {
	if h.OutputNormalization == "ScaleAndShift" {
		return nil
	}
	var bias safetensors.Tensor
	for _, t := range h.Tensors {
		if len(t.Name) > len(".bias") && t.Name[1:] == ".bias" && t.Name > bias.Name {
			bias = t
		}
	}
	for _, v := range bias.Data {
		if v != 0 {
			return mismatch("%s: %s is not zero, as it is with outputNormalization ScaleOnly; config.json is not of these weights", HeadFile, bias.Name)
		}
	}
	return nil
}

// headConfig is a head in config.json.
type headConfig struct {
	Type                string `json:"type"`
	Layers              int    `json:"layers,omitempty"`
	Dimension           int    `json:"dimension,omitempty"`
	OutputNormalization string `json:"output_normalization,omitempty"`
}

func (h *Head) config() *headConfig {
	if h == nil {
		return nil
	}
	return &headConfig{h.Type, h.Layers, h.Dimension, h.OutputNormalization}
}

// head is what config.json says, without the weights.
func (c *headConfig) head() *Head {
	if c == nil {
		return nil
	}
	return &Head{Type: c.Type, Layers: c.Layers, Dimension: c.Dimension, OutputNormalization: c.OutputNormalization}
}

// stored says whether there is a file of the head.
func (h *Head) stored() bool { return h != nil && h.Type != v1alpha1.HeadNone }

// text is a sentence for the card.
func (h *Head) text() string {
	switch {
	case h == nil:
		return "The projection head that it was trained with is not here."
	case !h.stored():
		return "It was trained without a projection head."
	}
	return fmt.Sprintf("The projection head g(·) that it was trained with (%s, z of %d values) is in `%s`; `load_head` of `%s` builds it. "+
		"Its input h is the better representation (paper section 4.2).", h.Type, h.Dimension, HeadFile, ModuleFile)
}
