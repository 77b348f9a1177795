package v1alpha1

// DatasetFormat is how a dataset's files are laid out.
//
// +kubebuilder:validation:Enum=ImageFolder;CIFAR;IDX;Images
type DatasetFormat string

// The formats that the trainer reads.
const (
	// FormatImageFolder is train/<class>/<file> and test/<class>/<file> (or val/), JPEG or PNG.
	FormatImageFolder DatasetFormat = "ImageFolder"
	// FormatCIFAR is the binary version of CIFAR-10: data_batch_*.bin and test_batch.bin.
	FormatCIFAR DatasetFormat = "CIFAR"
	// FormatIDX is MNIST's: {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz.
	FormatIDX DatasetFormat = "IDX"
	// FormatImages is a folder of JPEG or PNG files without labels.
	FormatImages DatasetFormat = "Images"
)

// Labels says whether a dataset's labels are used.
//
// +kubebuilder:validation:Enum=FromFormat;None
type Labels string

// The values of Labels.
const (
	LabelsFromFormat Labels = "FromFormat"
	LabelsNone       Labels = "None"
)

// DatasetSpec is where images come from: a known name, or a URI and its format.
type DatasetSpec struct {
	// name is a known dataset, downloaded by the trainer over HTTP with its checksum verified:
	// fashion-mnist (28 px, grey, 10 classes) or cifar-10 (32 px, colour, 10 classes).
	// +optional
	// +kubebuilder:validation:Enum=fashion-mnist;cifar-10
	Name string `json:"name,omitempty"`

	// uri is where the files are: pvc://CLAIM/PATH, a directory on a PersistentVolumeClaim of the
	// run's namespace, mounted read-only.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URI string `json:"uri,omitempty"`

	// format is how the files at uri are laid out.
	// +optional
	Format DatasetFormat `json:"format,omitempty"`

	// labels says whether the labels that the format carries are used. None: the dataset is only
	// pretrained on. Default: FromFormat (Images has none).
	// +optional
	// +kubebuilder:default=FromFormat
	Labels Labels `json:"labels,omitempty"`

	// limit uses only this many training images, the first ones, the same number of each class where
	// there are labels; test images are always all used. Unit: images. Default: all.
	// +optional
	// +kubebuilder:validation:Minimum=2
	Limit *int32 `json:"limit,omitempty"`

	// imageSize is the height and width that the encoder sees. Unit: pixels. Default: the known
	// dataset's or the format's own size (28 for IDX, 32 for CIFAR), else 32.
	// +optional
	// +kubebuilder:validation:Minimum=8
	// +kubebuilder:validation:Maximum=512
	ImageSize *int32 `json:"imageSize,omitempty"`
}

// EvaluationSpec is the labelled data of the stages after pretraining.
type EvaluationSpec struct {
	// dataset has labels and a test split; kNN, linear evaluation and finetuning use it.
	// +required
	Dataset DatasetSpec `json:"dataset,omitzero"`
}

// Mode switches a part on or off.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Mode string

// The values of Mode.
const (
	Enabled  Mode = "Enabled"
	Disabled Mode = "Disabled"
)

// AugmentationsSpec makes the two views of an image: crop, flip, colour distortion, blur, in this
// order (paper appendix A). Every part is tuned or off by itself.
type AugmentationsSpec struct {
	// randomResizedCrop crops a random part and resizes it to the image size.
	// +optional
	RandomResizedCrop *RandomResizedCropSpec `json:"randomResizedCrop,omitempty"`

	// horizontalFlip mirrors left to right.
	// +optional
	HorizontalFlip *HorizontalFlipSpec `json:"horizontalFlip,omitempty"`

	// colorDistortion is colour jitter and random greyscale.
	// +optional
	ColorDistortion *ColorDistortionSpec `json:"colorDistortion,omitempty"`

	// gaussianBlur blurs with a kernel of a tenth of the image's height. Default: Enabled above
	// 32 pixels, Disabled at or below (paper appendix B.9).
	// +optional
	GaussianBlur *GaussianBlurSpec `json:"gaussianBlur,omitempty"`
}

// ResizeFilter is the resampling kernel of a crop's resize.
//
// +kubebuilder:validation:Enum=Bicubic;Bilinear
type ResizeFilter string

// The values of ResizeFilter.
const (
	Bicubic  ResizeFilter = "Bicubic"
	Bilinear ResizeFilter = "Bilinear"
)

// RandomResizedCropSpec is the random crop (paper appendix A).
type RandomResizedCropSpec struct {
	// mode switches the crop. Default: Enabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// minScale is the smallest share of the image's area. Default: "0.08".
	// +optional
	MinScale *Decimal `json:"minScale,omitempty"`
	// maxScale is the largest share of the image's area. Default: "1".
	// +optional
	MaxScale *Decimal `json:"maxScale,omitempty"`
	// minRatio is the smallest width over height. Default: "0.75".
	// +optional
	MinRatio *Decimal `json:"minRatio,omitempty"`
	// maxRatio is the largest width over height. Default: "1.3333".
	// +optional
	MaxRatio *Decimal `json:"maxRatio,omitempty"`
	// filter resamples, antialiased. Default: Bicubic (google-research/simclr); torchvision's is Bilinear.
	// +optional
	Filter ResizeFilter `json:"filter,omitempty"`
}

// HorizontalFlipSpec is the random flip.
type HorizontalFlipSpec struct {
	// mode switches the flip. Default: Enabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is flipped. Default: "0.5".
	// +optional
	Probability *Decimal `json:"probability,omitempty"`
}

// ColorDistortionSpec is colour jitter and random greyscale (paper appendix A).
type ColorDistortionSpec struct {
	// mode switches the distortion. Default: Enabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// strength s: brightness, contrast and saturation change by 0.8·s, hue by 0.2·s.
	// Default: "1" above 32 pixels, "0.5" at or below.
	// +optional
	Strength *Decimal `json:"strength,omitempty"`
	// jitterProbability that an image is jittered. Default: "0.8".
	// +optional
	JitterProbability *Decimal `json:"jitterProbability,omitempty"`
	// grayscaleProbability that an image turns grey. Default: "0.2".
	// +optional
	GrayscaleProbability *Decimal `json:"grayscaleProbability,omitempty"`
}

// GaussianBlurSpec is the random blur (paper appendix A).
type GaussianBlurSpec struct {
	// mode switches the blur. Default: Enabled above 32 pixels, Disabled at or below.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is blurred. Default: "0.5".
	// +optional
	Probability *Decimal `json:"probability,omitempty"`
	// minSigma is the smallest standard deviation, in pixels. Default: "0.1".
	// +optional
	MinSigma *Decimal `json:"minSigma,omitempty"`
	// maxSigma is the largest standard deviation, in pixels. Default: "2".
	// +optional
	MaxSigma *Decimal `json:"maxSigma,omitempty"`
}
