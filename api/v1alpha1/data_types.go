package v1alpha1

// DatasetFormat is how a dataset's files are laid out.
//
// +kubebuilder:validation:Enum=ImageFolder;WebDataset;CIFAR;IDX;Images
type DatasetFormat string

// The formats that the trainer reads.
const (
	// FormatImageFolder is train/<class>/<file> and test/<class>/<file> (or val/), JPEG or PNG.
	FormatImageFolder DatasetFormat = "ImageFolder"
	// FormatWebDataset is tar shards of samples, of consecutive KEY.jpg and KEY.cls.
	FormatWebDataset DatasetFormat = "WebDataset"
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
//
// +kubebuilder:validation:XValidation:rule="has(self.name) != has(self.uri)",message="dataset: set exactly one of name and uri"
// +kubebuilder:validation:XValidation:rule="!has(self.uri) || has(self.format)",message="dataset.format: is needed with uri; set ImageFolder, WebDataset, CIFAR, IDX or Images"
// +kubebuilder:validation:XValidation:rule="!has(self.format) || has(self.uri)",message="dataset.format: is only for uri; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.limit) || !has(self.name) || self.limit <= (self.name == 'cifar-10' ? 50000 : 60000)",message="dataset.limit: fashion-mnist has 60000 training images and cifar-10 50000; set it to at most that"
// +kubebuilder:validation:XValidation:rule="!has(self.uri) || !self.uri.matches('^https?://') || !has(self.format) || !(self.format in ['ImageFolder', 'Images'])",message="dataset.format: ImageFolder and Images need a folder that can be listed, and a web server lists none; set another format, or put the files on a claim or into a bucket"
// +kubebuilder:validation:XValidation:rule="!has(self.uri) || !self.uri.matches('^https?://') || !has(self.format) || self.format != 'WebDataset' || self.uri.contains('{')",message="dataset.uri: a web server lists no shards; end it with their names, such as {train-{000000..000146},val-{000000..000005}}.tar"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || (has(self.uri) && self.uri.matches('^(s3|gs)://'))",message="dataset.credentials: is only for uri s3://BUCKET/PATH and gs://BUCKET/PATH; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.endpoint) || (has(self.uri) && self.uri.startsWith('s3://'))",message="dataset.endpoint: is only for uri s3://BUCKET/PATH; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.region) || (has(self.uri) && self.uri.startsWith('s3://'))",message="dataset.region: is only for uri s3://BUCKET/PATH; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.caBundle) || (has(self.uri) && self.uri.matches('^(s3|https)://'))",message="dataset.caBundle: is only for uri s3://BUCKET/PATH and https://HOST/PATH; remove it"
type DatasetSpec struct {
	// name is a known dataset, downloaded by the trainer over HTTP with its checksum verified:
	// fashion-mnist (28 px, grey, 10 classes) or cifar-10 (32 px, colour, 10 classes). Default: none; set name or uri.
	// +optional
	// +kubebuilder:validation:Enum=fashion-mnist;cifar-10
	Name string `json:"name,omitempty"`

	// uri is the folder of the files: pvc://CLAIM/PATH, on a PersistentVolumeClaim of the run's namespace, mounted
	// read-only; s3://BUCKET/PATH, in a bucket of Amazon S3, or of another server of its protocol (endpoint);
	// gs://BUCKET/PATH, of Google Cloud Storage; https://HOST/PATH (or http), on a web server, for formats whose files
	// have known names. Of what is not on a claim, images are read over the network as they are needed where they do
	// not fit into memory; docs/datasets.md has more. Default: none; set name or uri.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="self.matches('^(pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?|(s3|gs)://[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?(/[^?#]*)?|https?://[^/?#@ ]+(/[^?#]*)?)$')",message="uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim, s3://BUCKET/PATH, gs://BUCKET/PATH or https://HOST/PATH, without a user and a query"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.](/|$)')",message="uri: its path must not have a part '..'; name the directory from the root of the claim, bucket or server"
	URI string `json:"uri,omitempty"`

	// format is how the files at uri are laid out. ImageFolder: train/CLASS/FILE and test/CLASS/FILE
	// (or val/), JPEG or PNG. WebDataset: tar shards train-….tar and test-….tar (or val-), or in folders of these
	// names, of samples KEY.jpg, .jpeg or .png with KEY.cls, or a field label in KEY.json, as label; the uri may end with
	// a pattern of their names, {train-{000000..000146},val-{000000..000005}}.tar. CIFAR: the binary version of CIFAR-10. IDX: MNIST's files, plain or .gz.
	// Images: JPEG or PNG files without labels. Default: none; it is needed with uri.
	// +optional
	Format DatasetFormat `json:"format,omitempty"`

	// endpoint is the URL of a server that speaks the S3 protocol, such as https://minio.storage.svc:9000; buckets are
	// then parts of its paths (path style). Only for uri s3://…. Default: Amazon S3.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@ ]+/?$')",message="endpoint: must be https://HOST or https://HOST:PORT (or http), without a path"
	Endpoint string `json:"endpoint,omitempty"`

	// region of the bucket. Only for uri s3://…. Default: the environment's AWS_REGION, else us-east-1.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9][-_.a-zA-Z0-9]*$`
	Region string `json:"region,omitempty"`

	// credentials names a Secret of the run's namespace, whose keys are mounted as files. For s3://: AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY and, of temporary ones, AWS_SESSION_TOKEN; they need s3:ListBucket and s3:GetObject. For
	// gs://: credentials.json, the key of a service account with the role Storage Object Viewer. Default: what the
	// pod's environment and service account give (template.env, template.serviceAccountName), else none, as for a
	// public bucket.
	// +optional
	Credentials *SecretReference `json:"credentials,omitempty"`

	// caBundle has the certificates, PEM, of the authority that signed the server's, beside those of the image. Only
	// for uri s3://… and https://…. Default: none.
	// +optional
	CABundle *CABundleReference `json:"caBundle,omitempty"`

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
//
// +kubebuilder:validation:XValidation:rule="!has(self.dataset.imageSize)",message="evaluation.dataset.imageSize: remove it; every stage uses dataset.imageSize"
// +kubebuilder:validation:XValidation:rule="self.dataset.labels != 'None' && (!has(self.dataset.format) || self.dataset.format != 'Images')",message="evaluation.dataset: must have labels; set labels to FromFormat and format to one that has them"
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

// Branches says which of an image's two views are transformed.
//
// +kubebuilder:validation:Enum=Both;One
type Branches string

// The values of Branches.
const (
	// BranchesBoth transforms both views, each by itself.
	BranchesBoth Branches = "Both"
	// BranchesOne crops the image once, transforms one view of the crop and leaves the other as it is.
	BranchesOne Branches = "One"
)

// AugmentationsSpec makes the two views of an image: crop, flip, colour distortion, blur, in this
// order (paper appendix A), and between them, where they are on, the other operations of the paper's
// figure 4, in the order of figure 5: crop, flip, cutout, colour distortion, Sobel filter, noise, blur,
// rotation. Every part is tuned or off by itself.
type AugmentationsSpec struct {
	// branches are the views that are transformed. Both: each view by itself, the method. One: the paper's
	// asymmetric setting for comparing transformations (section 3.1, figure 5): the image is cropped at random
	// once, as randomResizedCrop says, even where its mode is Disabled; the second view is that crop, the first
	// is the crop with all that is Enabled applied to it. Default: Both (paper section 2.1).
	// +optional
	Branches Branches `json:"branches,omitempty"`

	// randomResizedCrop crops a random part and resizes it to the image size. Default: Enabled (paper appendix A).
	// +optional
	RandomResizedCrop *RandomResizedCropSpec `json:"randomResizedCrop,omitempty"`

	// horizontalFlip mirrors left to right. Default: Enabled (paper appendix A).
	// +optional
	HorizontalFlip *HorizontalFlipSpec `json:"horizontalFlip,omitempty"`

	// cutout covers a random square with grey. Default: Disabled (the paper has it in figures 4 and 5 only).
	// +optional
	Cutout *CutoutSpec `json:"cutout,omitempty"`

	// colorDistortion is colour jitter and random greyscale. Default: Enabled (paper appendix A).
	// +optional
	ColorDistortion *ColorDistortionSpec `json:"colorDistortion,omitempty"`

	// sobel leaves of an image its edges. Default: Disabled (the paper has it in figures 4 and 5 only).
	// +optional
	Sobel *SobelSpec `json:"sobel,omitempty"`

	// gaussianNoise adds noise to every value. Default: Disabled (the paper has it in figures 4 and 5 only).
	// +optional
	GaussianNoise *GaussianNoiseSpec `json:"gaussianNoise,omitempty"`

	// gaussianBlur blurs. Default: Enabled above 32 pixels (paper appendix A), Disabled at or below (appendix B.9).
	// +optional
	GaussianBlur *GaussianBlurSpec `json:"gaussianBlur,omitempty"`

	// rotation turns by 90, 180 or 270 degrees. Default: Disabled (the paper has it in figures 4 and 5 only).
	// +optional
	Rotation *RotationSpec `json:"rotation,omitempty"`
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
//
// +kubebuilder:validation:XValidation:rule="double(has(self.minScale) ? self.minScale : '0.08') <= double(has(self.maxScale) ? self.maxScale : '1')",message="minScale: is more than maxScale (defaults 0.08 and 1); set it to at most that"
// +kubebuilder:validation:XValidation:rule="double(has(self.minRatio) ? self.minRatio : '0.75') <= double(has(self.maxRatio) ? self.maxRatio : '1.3333')",message="minRatio: is more than maxRatio (defaults 0.75 and 1.3333); set it to at most that"
type RandomResizedCropSpec struct {
	// mode switches the crop. Default: Enabled (paper appendix A).
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// minScale is the smallest share of the image's area, above 0 and at most 1. Default: "0.08" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="minScale: must be above 0 and at most 1"
	MinScale *Decimal `json:"minScale,omitempty"`
	// maxScale is the largest share of the image's area, above 0 and at most 1. Default: "1" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="maxScale: must be above 0 and at most 1"
	MaxScale *Decimal `json:"maxScale,omitempty"`
	// minRatio is the smallest width over height, from 0.01 to 100. Default: "0.75" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.01 && double(self) <= 100.0",message="minRatio: must be between 0.01 and 100"
	MinRatio *Decimal `json:"minRatio,omitempty"`
	// maxRatio is the largest width over height, from 0.01 to 100. Default: "1.3333" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.01 && double(self) <= 100.0",message="maxRatio: must be between 0.01 and 100"
	MaxRatio *Decimal `json:"maxRatio,omitempty"`
	// filter resamples, antialiased. Default: Bicubic (google-research/simclr); torchvision's is Bilinear.
	// +optional
	Filter ResizeFilter `json:"filter,omitempty"`
}

// HorizontalFlipSpec is the random flip.
type HorizontalFlipSpec struct {
	// mode switches the flip. Default: Enabled (paper appendix A).
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is flipped, from 0 to 1. Default: "0.5" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
}

// CutoutSpec covers a random square with grey (DeVries & Taylor 2017, arXiv 1708.04552; paper figure 4).
type CutoutSpec struct {
	// mode switches the cutout. Default: Disabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that a square is covered, from 0 to 1. Default: "0.5", this project's choice; the paper names none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
	// size is the side of the square as a share of the image's, above 0 and at most 1. Its centre is anywhere in the
	// image, so that it may reach beyond. Default: "0.5" (DeVries & Taylor's 16 of 32 pixels for CIFAR-10).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="size: must be above 0 and at most 1"
	Size *Decimal `json:"size,omitempty"`
}

// JitterOrder is the order of the four operations of colour jitter.
//
// +kubebuilder:validation:Enum=Random;Fixed
type JitterOrder string

// The values of JitterOrder.
const (
	OrderRandom JitterOrder = "Random"
	OrderFixed  JitterOrder = "Fixed"
)

// ColorDistortionSpec is colour jitter and random greyscale (paper appendix A).
type ColorDistortionSpec struct {
	// mode switches the distortion. Default: Enabled (paper appendix A).
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// strength s, from 0 to 2.5: what brightness, contrast, saturation and hue are not set to follows from it.
	// Default: "1" above 32 pixels (paper appendix A), "0.5" at or below (appendix B.9).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 2.5",message="strength: must be at most 2.5, where the hue changes by half the circle"
	Strength *Decimal `json:"strength,omitempty"`
	// brightness b: the factor of brightness is uniform from max(1 − b, 0) to 1 + b; b is from 0 (off) to 2.
	// Default: 0.8·strength (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 2.0",message="brightness: must be between 0 and 2"
	Brightness *Decimal `json:"brightness,omitempty"`
	// contrast c: the factor of contrast is uniform from max(1 − c, 0) to 1 + c; c is from 0 (off) to 2.
	// Default: 0.8·strength (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 2.0",message="contrast: must be between 0 and 2"
	Contrast *Decimal `json:"contrast,omitempty"`
	// saturation t: the factor of saturation is uniform from max(1 − t, 0) to 1 + t; t is from 0 (off) to 2.
	// Default: 0.8·strength (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 2.0",message="saturation: must be between 0 and 2"
	Saturation *Decimal `json:"saturation,omitempty"`
	// hue h: the hue turns by a share of the circle that is uniform from −h to h; h is from 0 (off) to 0.5.
	// Default: 0.2·strength (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 0.5",message="hue: must be between 0 and 0.5, half the circle"
	Hue *Decimal `json:"hue,omitempty"`
	// order of the four. Random: another for each view. Fixed: brightness, contrast, saturation, hue.
	// Default: Random (paper appendix A).
	// +optional
	Order JitterOrder `json:"order,omitempty"`
	// jitterProbability that an image is jittered, from 0 to 1. Default: "0.8" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="jitterProbability: must be between 0 and 1"
	JitterProbability *Decimal `json:"jitterProbability,omitempty"`
	// grayscaleProbability that an image turns grey, from 0 to 1. Default: "0.2" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="grayscaleProbability: must be between 0 and 1"
	GrayscaleProbability *Decimal `json:"grayscaleProbability,omitempty"`
}

// SobelSpec replaces every channel by the magnitude of its gradient, by Sobel's filter (paper figure 4), scaled so
// that a step from black to white is 1.
type SobelSpec struct {
	// mode switches the filter. Default: Disabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is filtered, from 0 to 1. Default: "0.5", this project's choice; the paper names none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
}

// GaussianNoiseSpec adds independent noise to every value of every channel (paper figure 4).
type GaussianNoiseSpec struct {
	// mode switches the noise. Default: Disabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image gets noise, from 0 to 1. Default: "0.5", this project's choice; the paper names none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
	// sigma is the standard deviation, above 0 and at most 1; values are from 0 to 1 and clipped to that. Default: "0.1",
	// this project's choice; the paper names none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="sigma: must be above 0 and at most 1"
	Sigma *Decimal `json:"sigma,omitempty"`
}

// GaussianBlurSpec is the random blur (paper appendix A).
//
// +kubebuilder:validation:XValidation:rule="double(has(self.minSigma) ? self.minSigma : '0.1') <= double(has(self.maxSigma) ? self.maxSigma : '2')",message="minSigma: is more than maxSigma (defaults 0.1 and 2); set it to at most that"
type GaussianBlurSpec struct {
	// mode switches the blur. Below 20 pixels the default kernel has one pixel, so that Enabled needs a larger
	// kernelSize there. Default: Enabled above 32 pixels (paper appendix A), Disabled at or below (appendix B.9).
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is blurred, from 0 to 1. Default: "0.5" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
	// kernelSize is the height and width of the kernel, odd. Unit: pixels. Default: a tenth of the image's height, made odd by
	// adding 1 where it is even (paper appendix A, as google-research/simclr computes it).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	// +kubebuilder:validation:XValidation:rule="self % 2 == 1",message="kernelSize: must be odd; the kernel has a centre"
	KernelSize *int32 `json:"kernelSize,omitempty"`
	// minSigma is the smallest standard deviation, from 0.01 to 100. Unit: pixels. Default: "0.1" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.01 && double(self) <= 100.0",message="minSigma: must be between 0.01 and 100"
	MinSigma *Decimal `json:"minSigma,omitempty"`
	// maxSigma is the largest standard deviation, from 0.01 to 100. Unit: pixels. Default: "2" (paper appendix A).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.01 && double(self) <= 100.0",message="maxSigma: must be between 0.01 and 100"
	MaxSigma *Decimal `json:"maxSigma,omitempty"`
}

// RotationSpec turns an image by 90, 180 or 270 degrees, each as often (paper figure 4).
type RotationSpec struct {
	// mode switches the rotation. Default: Disabled.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// probability that an image is turned, from 0 to 1. Default: "0.5", this project's choice; the paper names none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="probability: must be between 0 and 1"
	Probability *Decimal `json:"probability,omitempty"`
}
