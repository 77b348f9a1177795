package export

import (
	_ "embed"
	"fmt"
	"strings"
)

// loadSnippet loads the encoder in PyTorch. timm and torchvision have neither this stem nor free widths,
// so that it builds the network from torchvision's blocks.
const loadSnippet = `import torch, torchvision
from safetensors.torch import load_file
from torch import nn
from torchvision.models.resnet import BasicBlock

class Encoder(torchvision.models.ResNet):
    def __init__(self, blocks=%s, width=%s):
        super().__init__(BasicBlock, blocks)
        c = lambda channels: int(channels * width)
        self.inplanes = c(64)
        self.conv1 = nn.Conv2d(3, c(64), 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c(64))
        self.maxpool = self.fc = nn.Identity()
        self.layer1 = self._make_layer(BasicBlock, c(64), blocks[0])
        self.layer2 = self._make_layer(BasicBlock, c(128), blocks[1], stride=2)
        self.layer3 = self._make_layer(BasicBlock, c(256), blocks[2], stride=2)
        self.layer4 = self._make_layer(BasicBlock, c(512), blocks[3], stride=2)
%s
encoder = Encoder().eval()
encoder.load_state_dict(load_file("model.safetensors"))  # strict: every name and shape fits
h = encoder(torch.rand(1, 3, %d, %d))  # (1, %d)
`

const projected = `        self.layer1[0].downsample = nn.Sequential(nn.Conv2d(c(64), c(64), 1, bias=False), nn.BatchNorm2d(c(64)))
`

//go:embed card.md
var cardText string

// card is README.md, the model card.
func (e Encoder) card(s Source) string {
	blocks, extra := "(2, 2, 2, 2)", ""
	if e.Depth == 34 {
		blocks = "(3, 4, 6, 3)"
	}
	if e.Shortcut == "GoogleResearch" {
		extra = projected
	}
	return strings.NewReplacer(
		"{depth}", fmt.Sprint(e.Depth),
		"{width}", string(e.Width),
		"{stem}", e.Stem,
		"{shortcut}", e.Shortcut,
		"{size}", fmt.Sprint(e.ImageSize),
		"{features}", fmt.Sprint(e.Features),
		"{run}", s.Run,
		"{hash}", s.ConfigHash,
		"{step}", fmt.Sprint(s.Step),
		"{snippet}", fmt.Sprintf(loadSnippet, blocks, e.Width, extra, e.ImageSize, e.ImageSize, e.Features),
	).Replace(cardText)
}
