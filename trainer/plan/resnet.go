package plan

// blocks of the four groups (He et al. 2015, table 1; 200: google-research/simclr resnet.py).
var blocks = map[int32][4]int{
	18: {2, 2, 2, 2}, 34: {3, 4, 6, 3},
	50: {3, 4, 6, 3}, 101: {3, 4, 23, 3}, 152: {3, 8, 36, 3}, 200: {3, 24, 36, 3},
}

// architecture of a ResNet without its classifier.
type architecture struct {
	depth     int32
	width     float64
	imageNet  bool // stem: 7×7 of stride 2 and max pooling, else CIFAR's
	projected bool // a projection shortcut in the first block of every group (google-research/simclr resnet.py)
	selective bool // selective kernels in ResNet-D, of bottlenecks alone
	imageSize int
}

// bottlenecks: blocks of 1×1, 3×3 and 1×1 convolutions.
func (a architecture) bottlenecks() bool { return a.depth >= 50 }

func (a architecture) channels(base int) int64 { return int64(float64(base) * a.width) }

// network counts it.
func (a architecture) network() Network {
	c := &counter{Network: Network{imageSize: a.imageSize}, size: int64(a.imageSize)}
	in := a.channels(64)
	a.stem(c, in)
	for group, count := range blocks[a.depth] {
		inner := a.channels(64 << group)
		out := inner
		if a.bottlenecks() {
			out = 4 * inner
		}
		for i := range count {
			stride := int64(1)
			if i == 0 && group > 0 {
				stride = 2
			}
			a.block(c, in, inner, out, stride)
			if stride != 1 || in != out || (i == 0 && a.projected) {
				if a.selective {
					c.values(in) // averaged
				}
				c.conv(in, out, 1, 1) // its image is already strided
			}
			in = out
		}
	}
	c.Features = int(in)
	return c.Network
}

// stem is the layers before the groups.
func (a architecture) stem(c *counter, out int64) {
	switch half := a.channels(32); {
	case !a.imageNet:
		c.conv(3, out, 3, 1)
		return
	case a.selective:
		c.conv(3, half, 3, 2)
		c.conv(half, half, 3, 1)
		c.conv(half, out, 3, 1)
	default:
		c.conv(3, out, 7, 2)
	}
	c.pool(out)
}

// block is its convolutions but the shortcut's.
func (a architecture) block(c *counter, in, inner, out, stride int64) {
	if !a.bottlenecks() {
		c.conv(in, inner, 3, stride)
		c.conv(inner, out, 3, 1)
		return
	}
	c.conv(in, inner, 1, 1)
	if a.selective {
		c.selective(inner, stride)
	} else {
		c.conv(inner, inner, 3, stride)
	}
	c.conv(inner, out, 1, 1)
}

// counter adds up layers; size is their image's height and width.
type counter struct {
	Network
	size int64
}

// conv is a convolution that only its stride shrinks, with its batch norm. The backward pass needs what it
// gave and what batch norm and ReLU made of that.
func (c *counter) conv(in, out, kernel, stride int64) {
	c.size = (c.size + stride - 1) / stride
	weights, values := in*out*kernel*kernel, out*c.size*c.size
	c.EncoderParameters += weights + 2*out
	c.MultiplyAdds += weights * c.size * c.size
	c.kept += 2 * values
	c.largest = max(c.largest, values)
}

// selective kernels (google-research/simclr resnet.py, SK_Conv2D): a convolution to two streams, two dense layers on
// their average, the first with batch norm, and the streams' mixture.
func (c *counter) selective(channels, stride int64) {
	c.conv(channels, 2*channels, 3, stride)
	kept := max(channels/16, 32)
	c.EncoderParameters += channels*kept + 2*kept + kept*2*channels
	c.MultiplyAdds += channels*kept + kept*2*channels
	c.values(channels)
}

// values of so many channels that the backward pass needs.
func (c *counter) values(channels int64) { c.kept += channels * c.size * c.size }

// pool is 3×3 max pooling of stride 2.
func (c *counter) pool(channels int64) {
	c.size = (c.size + 1) / 2
	c.values(channels)
}
