package export

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// module is encoder.py, which builds the encoder in PyTorch from config.json.
//
//go:embed encoder.py
var module []byte

//go:embed card.md
var cardText string

// Ways to load an encoder, for the card.
const (
	loadTorchvision = `%s is torchvision's and timm's resnet%d, so that both load it strictly:

` + "```python" + `
import timm, torch, torchvision
from safetensors.torch import load_file

encoder = torchvision.models.resnet%d()
encoder.fc = torch.nn.Identity()
encoder.load_state_dict(load_file("model.safetensors"))
# or
encoder = timm.create_model("local-dir:.", pretrained=True)
` + "```" + `

encoder.py builds the same without either:
`
	loadModule = `%s is not torchvision's or timm's resnet%d: %s. Their constructors do not load it; encoder.py does, strictly, and
needs torch and safetensors alone:
`
)

// published says whether torchvision and timm have this network under its depth's name.
func (e Encoder) published() bool { return len(e.differences()) == 0 }

// differences from torchvision's network of this depth.
func (e Encoder) differences() []string {
	var all []string
	if e.Stem != v1alpha1.StemImageNet {
		all = append(all, "its stem is a 3×3 convolution of stride 1 without max pooling")
	}
	if !sameNumber(e.Width, "1") {
		all = append(all, "every channel count, the stem's and the bottlenecks' included, is multiplied by "+string(e.Width))
	}
	if e.Shortcut == "GoogleResearch" && e.Depth < 50 {
		all = append(all, "the first group has a projection shortcut")
	}
	if e.SelectiveKernel == v1alpha1.Enabled {
		all = append(all, "its bottlenecks have selective kernels, and its shortcuts average before they project (ResNet-D, SimCLRv2)")
	}
	return all
}

// deepStem says whether three convolutions take the place of the ImageNet stem's one.
func (e Encoder) deepStem() bool {
	return e.SelectiveKernel == v1alpha1.Enabled && e.Stem == v1alpha1.StemImageNet
}

// stem for the card.
func (e Encoder) stem() string {
	if e.deepStem() {
		return e.Stem + ": three 3×3 convolutions, the first of stride 2, 3×3 max pooling of stride 2"
	}
	return e.Stem + ": " + stemText[e.Stem]
}

// names that the tensors have.
func (e Encoder) names() string {
	if e.SelectiveKernel == v1alpha1.Enabled {
		return "torchvision's names, and timm's for what torchvision lacks (the stem's conv1.0 to conv1.6, attn)"
	}
	return "torchvision's names"
}

var stemText = map[string]string{
	v1alpha1.StemCIFAR:    "3×3 convolution of stride 1, no max pooling",
	v1alpha1.StemImageNet: "7×7 convolution of stride 2, 3×3 max pooling of stride 2",
}

// card is README.md, the model card.
func (e Encoder) card(s Source) string {
	name := fmt.Sprintf("ResNet-%d (%s×)", e.Depth, e.Width)
	load := fmt.Sprintf(loadTorchvision, name, e.Depth, e.Depth)
	if d := e.differences(); len(d) > 0 {
		load = fmt.Sprintf(loadModule, name, e.Depth, strings.Join(d, "; "))
	}
	return strings.NewReplacer(
		"{name}", name,
		"{depth}", fmt.Sprint(e.Depth),
		"{width}", string(e.Width),
		"{stem}", e.stem(),
		"{kernels}", string(e.SelectiveKernel),
		"{names}", e.names(),
		"{shortcut}", e.Shortcut,
		"{size}", fmt.Sprint(e.ImageSize),
		"{features}", fmt.Sprint(e.Features),
		"{head}", e.Head.text(),
		"{run}", s.Run,
		"{hash}", s.ConfigHash,
		"{step}", fmt.Sprint(s.Step),
		"{load}", load,
	).Replace(cardText)
}
