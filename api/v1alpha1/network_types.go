package v1alpha1

// The values of EncoderSpec.Stem.
const (
	StemCIFAR    = "CIFAR"
	StemImageNet = "ImageNet"
)

// EncoderSpec is the ResNet f(·).
//
// +kubebuilder:validation:XValidation:rule="!has(self.selectiveKernel) || self.selectiveKernel != 'Enabled' || self.depth >= 50",message="encoder.selectiveKernel: Enabled needs bottlenecks; set encoder.depth to 50, 101, 152 or 200"
type EncoderSpec struct {
	// depth of the ResNet: 18 and 34 have basic blocks, 50, 101, 152 and 200 bottlenecks with their stride on the
	// 3×3 convolution (He et al. 2016, arXiv 1512.03385, table 1, as v1.5; 200: google-research/simclr). Unit:
	// layers. Default: 18.
	// +optional
	// +kubebuilder:default=18
	// +kubebuilder:validation:Enum=18;34;50;101;152;200
	Depth int32 `json:"depth,omitempty"`

	// widthMultiplier scales every channel count, the stem's included, from 0.0625 to 8.
	// Default: "1" (google-research/simclr).
	// +optional
	// +kubebuilder:default="1"
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.0625 && double(self) <= 8.0",message="widthMultiplier: must be between 0.0625 and 8"
	WidthMultiplier Decimal `json:"widthMultiplier,omitempty"`

	// stem is the first layers. CIFAR: a 3×3 convolution of stride 1 without max pooling (paper appendix B.9).
	// ImageNet: a 7×7 convolution of stride 2, or with selectiveKernel three 3×3, the first of stride 2; then 3×3 max
	// pooling of stride 2, padded as in torchvision. Default: ImageNet above 32 pixels,
	// CIFAR at or below (google-research/simclr).
	// +optional
	// +kubebuilder:validation:Enum=CIFAR;ImageNet
	Stem string `json:"stem,omitempty"`

	// shortcut is where a block's shortcut is a projection. Torchvision: only where the shape changes.
	// GoogleResearch: in the first block of every group, as in google-research/simclr. Default: Torchvision, whose
	// names and shapes other programs load.
	// +optional
	// +kubebuilder:default=Torchvision
	// +kubebuilder:validation:Enum=Torchvision;GoogleResearch
	Shortcut string `json:"shortcut,omitempty"`

	// selectiveKernel Enabled makes the encoder SimCLRv2's (arXiv 2006.10029, table 1): a bottleneck's 3×3 convolution
	// has two streams that are mixed by weights of the image (Li et al. 2019, arXiv 1903.06586; sk_ratio 0.0625), the
	// ImageNet stem has three 3×3 convolutions, and shortcuts average before they project (ResNet-D, He et al. 2018,
	// arXiv 1812.01187). It needs depth 50, 101, 152 or 200. Default: Disabled (SimCLR).
	// +optional
	// +kubebuilder:default=Disabled
	SelectiveKernel Mode `json:"selectiveKernel,omitempty"`

	// initialization draws the first weights of encoder and head. Reference: google-research/simclr's
	// (variance scaling, the last gamma of each block 0, dense layers N(0, 0.01²)). PyTorch: the
	// defaults of torch.nn.Conv2d and Linear, every gamma 1. Default: Reference.
	// +optional
	// +kubebuilder:default=Reference
	// +kubebuilder:validation:Enum=Reference;PyTorch
	Initialization string `json:"initialization,omitempty"`
}

// The values of ProjectionHeadSpec.Type.
const (
	HeadNonLinear = "NonLinear"
	HeadLinear    = "Linear"
	HeadNone      = "None"
)

// ProjectionHeadSpec is g(·): layers of dense without bias and batch norm, with ReLU between the layers.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'NonLinear' || !has(self.layers)",message="projectionHead.layers: is only for type NonLinear; remove it"
// +kubebuilder:validation:XValidation:rule="self.type != 'None' || !has(self.dimension)",message="projectionHead.dimension: is not for type None, where z is h; remove it"
// +kubebuilder:validation:XValidation:rule="self.type != 'None' || !has(self.outputNormalization)",message="projectionHead.outputNormalization: is not for type None, where z is h; remove it"
type ProjectionHeadSpec struct {
	// type is the head's kind. NonLinear: hidden layers as wide as h before the last. Linear: one layer. None: z is
	// h. Default: NonLinear (paper section 4.2).
	// +optional
	// +kubebuilder:default=NonLinear
	// +kubebuilder:validation:Enum=NonLinear;Linear;None
	Type string `json:"type,omitempty"`

	// layers of a NonLinear head: 2 (SimCLR, paper section 2.1) or 3 (SimCLRv2, arXiv 2006.10029 section 2).
	// Unit: layers. Default: 2.
	// +optional
	// +kubebuilder:validation:Enum=2;3
	Layers int32 `json:"layers,omitempty"`

	// dimension is the length of z; with type None that is h's. Unit: channels. Default: 128 (paper section 2.3).
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=8192
	Dimension int32 `json:"dimension,omitempty"`

	// outputNormalization is the batch norm after the last layer. ScaleOnly: without beta, as in
	// google-research/simclr. ScaleAndShift: with beta. Default: ScaleOnly, but with type None.
	// +optional
	// +kubebuilder:validation:Enum=ScaleOnly;ScaleAndShift
	OutputNormalization string `json:"outputNormalization,omitempty"`
}

// BatchNormStatistics is what batch norm takes its means and variances over.
type BatchNormStatistics string

// The values of BatchNormStatistics.
const (
	// BatchNormGlobal is the whole batch, of all workers and devices.
	BatchNormGlobal BatchNormStatistics = "Global"
	// BatchNormWorker is each worker's part of the batch by itself.
	BatchNormWorker BatchNormStatistics = "Worker"
	// BatchNormMicroBatch is each micro-batch by itself.
	BatchNormMicroBatch BatchNormStatistics = "MicroBatch"
)

// Precision of a computation.
type Precision string

// The values of Precision.
const (
	FP32 Precision = "FP32"
	BF16 Precision = "BF16"
)

// Convolutions says how a CPU convolves.
type Convolutions string

// The values of Convolutions.
const (
	Winograd Convolutions = "Winograd"
	Direct   Convolutions = "Direct"
)

// Features are what a classifier sees of an image.
//
// +kubebuilder:validation:Enum=Encoder;HeadFirstLayer;Projection
type Features string

// The values of Features.
const (
	// FeaturesEncoder is h, the encoder's result.
	FeaturesEncoder Features = "Encoder"
	// FeaturesHeadFirstLayer is what the projection head's first layer gives, after its ReLU.
	FeaturesHeadFirstLayer Features = "HeadFirstLayer"
	// FeaturesProjection is z, the projection head's result; without a head it is h.
	FeaturesProjection Features = "Projection"
)
