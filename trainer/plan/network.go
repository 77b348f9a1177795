package plan

import (
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Network in numbers, by formula: it is not asked of the graph, which is tested against it.
type Network struct {
	Name              string // such as ResNet-18 (0.25×)
	Features          int    // dimension of h
	Dimension         int    // of z
	EncoderParameters int64
	HeadParameters    int64

	imageSize   int
	activations int64 // values that all convolutions give for one image
	largest     int64 // values of the largest of them
}

// stem is the first convolution.
type stem struct {
	kernel, stride int
	pool           bool // 3×3 max pooling of stride 2
}

var stems = map[string]stem{"CIFAR": {kernel: 3, stride: 1}}

// blocks of the four groups (He et al. 2015, table 1).
var blocks = map[int32][4]int{18: {2, 2, 2, 2}, 34: {3, 4, 6, 3}}

// maxWidth keeps parameter counts and memory far from overflow; the paper's widest is 4.
const maxWidth = 64

func describe(s *v1alpha1.SimCLRRunSpec) (Network, error) {
	width, err := positive("encoder.widthMultiplier", s.Encoder.WidthMultiplier)
	if err != nil {
		return Network{}, err
	}
	if int(64*width) < 1 || width > maxWidth {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.widthMultiplier %s; set it between \"0.015625\", which leaves one channel, and \"%d\"", s.Encoder.WidthMultiplier, maxWidth)
	}
	groups, ok := blocks[s.Encoder.Depth]
	if !ok {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.depth %d; set it to 18 or 34", s.Encoder.Depth)
	}
	first, ok := stems[s.Encoder.Stem]
	if !ok {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.stem %q; set it to CIFAR", s.Encoder.Stem)
	}
	if s.Dataset.ImageSize == nil {
		return Network{}, unresolved("dataset.imageSize")
	}
	n := resnet(groups, width, first, s.Encoder.Shortcut == "GoogleResearch", int(*s.Dataset.ImageSize))
	n.Name = "ResNet-" + strconv.Itoa(int(s.Encoder.Depth)) + " (" + string(s.Encoder.WidthMultiplier) + "×)"
	n.Dimension = int(s.ProjectionHead.Dimension)
	n.HeadParameters = head(int64(n.Features), int64(n.Dimension), s.ProjectionHead.OutputNormalization == "ScaleAndShift")
	return n, nil
}

// resnet counts a ResNet of basic blocks without its classifier. projected: a projection shortcut in the
// first block of every group (google-research/simclr resnet.py).
func resnet(groups [4]int, width float64, first stem, projected bool, imageSize int) Network {
	n := Network{imageSize: imageSize}
	channels := func(base int) int64 { return int64(float64(base) * width) }
	size := int64(imageSize)
	conv := func(in, out, kernel, stride int64) {
		size = (size + stride - 1) / stride
		n.EncoderParameters += in*out*kernel*kernel + 2*out // with its batch norm's γ and β
		n.activations += out * size * size
		n.largest = max(n.largest, out*size*size)
	}
	in := channels(64)
	conv(3, in, int64(first.kernel), int64(first.stride))
	if first.pool {
		size = (size + 1) / 2
	}
	for group, count := range groups {
		out := channels(64 << group)
		for b := range count {
			stride := int64(1)
			if b == 0 && group > 0 {
				stride = 2
			}
			conv(in, out, 3, stride)
			conv(out, out, 3, 1)
			if stride != 1 || in != out || (b == 0 && projected) {
				conv(in, out, 1, 1) // its image is already strided
			}
			in = out
		}
	}
	n.Features = int(in)
	return n
}

// head: dense and batch norm as wide as h, dense and batch norm to z; shift: the last one has β.
func head(features, dimension int64, shift bool) int64 {
	n := features*features + 2*features + features*dimension + dimension
	if shift {
		n += dimension
	}
	return n
}

// classifier's parameters: weights and biases.
func (n Network) classifier(classes int) int64 { return int64(n.Features+1) * int64(classes) }

const float32Bytes = 4

// step estimates a training step's memory: weights, gradients, momenta and their next values; for each
// view the pixels, and of each convolution what it gave and what batch norm made of it, which the
// backward pass needs; and the gradients that live at once.
func (n Network) step(all, trained, views int64) (fixed, perImage int64) {
	fixed = float32Bytes * (2*all + 3*trained)
	pixels := 3 * int64(n.imageSize) * int64(n.imageSize)
	return fixed, float32Bytes * views * (pixels + 2*n.activations + 6*n.largest)
}

// inference needs only the tensors that live at once.
func (n Network) inference(all int64) (fixed, perImage int64) {
	pixels := 3 * int64(n.imageSize) * int64(n.imageSize)
	return float32Bytes * all, float32Bytes * (pixels + 6*n.largest)
}
