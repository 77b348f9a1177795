package v1alpha1

// PretrainingSpec is the contrastive stage.
//
// +kubebuilder:validation:XValidation:rule="!has(self.batchNormStatistics) || self.batchNormStatistics != 'MicroBatch' || has(self.microBatchSize)",message="pretraining.batchNormStatistics: MicroBatch needs microBatchSize; set that, or remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.warmupEpochs) || self.warmupEpochs <= self.epochs",message="pretraining.warmupEpochs: is more than epochs; set it to at most that"
type PretrainingSpec struct {
	// epochs is how often the training images are passed over; 0 leaves the encoder as it was initialised.
	// Unit: epochs. Default: 100 (paper section 2.3).
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Epochs *int32 `json:"epochs,omitempty"`

	// temperature τ of NT-Xent (paper equation 1), from 0.005 to 10. Default: "0.1" above 32 pixels (paper
	// table 5), "0.5" at or below (paper appendix B.9).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.005 && double(self) <= 10.0",message="pretraining.temperature: must be between 0.005 and 10"
	Temperature *Decimal `json:"temperature,omitempty"`

	// optimizer is LARS (momentum 0.9, trust coefficient 0.001), or SGD (Nesterov momentum 0.9); both as in
	// google-research/simclr. Default: LARS (paper section 2.2).
	// +optional
	// +kubebuilder:default=LARS
	// +kubebuilder:validation:Enum=LARS;SGD
	Optimizer string `json:"optimizer,omitempty"`

	// learningRate at its peak, before learningRateScaling, from 1e-8 to 100. Default: "0.3" above 32 pixels (with
	// Linear scaling; paper section 2.3), "1" at or below (with None; google-research/simclr's README).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 1e-8 && double(self) <= 100.0",message="pretraining.learningRate: must be between 1e-8 and 100"
	LearningRate *Decimal `json:"learningRate,omitempty"`

	// learningRateScaling of the rate: Linear multiplies the rate by batchSize/256, SquareRoot by √batchSize
	// (paper appendix B.1), None by 1. Default: Linear above 32 pixels (paper section 2.3), None at or below
	// (google-research/simclr's README).
	// +optional
	// +kubebuilder:validation:Enum=Linear;SquareRoot;None
	LearningRateScaling string `json:"learningRateScaling,omitempty"`

	// warmupEpochs of linear warmup from 0, then cosine decay to 0. At most epochs. Unit: epochs.
	// Default: 10 (paper section 2.3), or a tenth of the epochs, whichever is less.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	WarmupEpochs *int32 `json:"warmupEpochs,omitempty"`

	// weightDecay of all weights but batch norm and biases, from 0 to 1. Default: "1e-6" above 32 pixels (paper
	// section 2.3), "1e-4" at or below (google-research/simclr's README).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="pretraining.weightDecay: must be between 0 and 1"
	WeightDecay *Decimal `json:"weightDecay,omitempty"`

	// precision of the pretraining step. FP32: IEEE 754 single precision. BF16: activations are kept as bfloat16
	// and convolutions multiply them as such, or in FP32 where that is faster, and sum in FP32; weights, their
	// gradients, momenta, batch norm's statistics, the projection head and the loss stay FP32. On a CPU, BF16
	// needs AVX-512. Default: FP32.
	// +optional
	// +kubebuilder:default=FP32
	// +kubebuilder:validation:Enum=FP32;BF16
	Precision Precision `json:"precision,omitempty"`

	// convolutions of 3×3 in FP32 on a CPU. Winograd: by the algorithm F(4×4, 3×3) where it is faster (Lavin and
	// Gray 2016, arXiv 1509.09308), which rounds about ten times as coarsely. Direct: each weight with each
	// pixel. Holds for every stage. Default: Winograd.
	// +optional
	// +kubebuilder:default=Winograd
	// +kubebuilder:validation:Enum=Winograd;Direct
	Convolutions Convolutions `json:"convolutions,omitempty"`

	// seed of initialisation, augmentation and shuffling. Default: 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	Seed *int64 `json:"seed,omitempty"`

	// microBatchSize is how many images' activations are in memory at once: a step of any batchSize takes the
	// memory of so few, and one more forward pass. NT-Xent and its gradient stay those of the whole batch
	// (gradient caching, arXiv 2101.06983), but batch norm's statistics are a micro-batch's own; docs/results.md compares
	// what is learned. Must divide batchSize. Unit: images. Default: none, the whole batch at once.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=65536
	MicroBatchSize *int32 `json:"microBatchSize,omitempty"`

	// batchNormStatistics are what batch norm takes its means and variances over. Global: the whole batch, of all
	// workers (paper section 2.2), which exchange them in every layer; so results do not depend on the number of workers.
	// Several workers with accelerators are one XLA program then; that is compiled, not run: no GPUs or TPUs in two pods have been at hand.
	// Worker: each worker's images by themselves, with nothing exchanged; z and gradients go through the hosts of accelerators. MicroBatch: each micro-batch by itself. Global
	// and Worker need a worker's images at once. Second views are of images of all groups that are normalised by
	// themselves; the running statistics follow the mean over a step's groups.
	// Default: Global, or MicroBatch where microBatchSize is set.
	// +optional
	// +kubebuilder:validation:Enum=Global;Worker;MicroBatch
	BatchNormStatistics BatchNormStatistics `json:"batchNormStatistics,omitempty"`

	// from takes the encoder from elsewhere instead of pretraining one. Default: none, the run pretrains its own.
	// +optional
	From *EncoderSource `json:"from,omitempty"`
}

// EncoderSource is an encoder that exists: exactly one of run and uri.
//
// +kubebuilder:validation:XValidation:rule="has(self.run) != has(self.uri)",message="pretraining.from: set exactly one of run and uri"
type EncoderSource struct {
	// run is the name of a SimCLRRun of the same namespace, whose pretrain stage is complete. Default: none; set
	// run or uri.
	// +optional
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Run string `json:"run,omitempty"`

	// uri is pvc://CLAIM/PATH: a directory with model.safetensors and config.json as a run writes
	// them to encoder/, with head.safetensors where a stage's features are not Encoder. Default: none; set run or uri.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?$')",message="uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.](/|$)')",message="uri: its path must not have a part '..'; name the directory from the claim's root"
	URI string `json:"uri,omitempty"`
}

// KNNSpec is the weighted nearest-neighbour classification of features by cosine similarity.
type KNNSpec struct {
	// mode switches it. Default: Enabled where evaluation.dataset, or else dataset, has labels.
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// neighbors k that vote, at most the training images. Unit: images. Default: 200 (Wu et al. 2018,
	// arXiv 1805.01978).
	// +optional
	// +kubebuilder:default=200
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Neighbors int32 `json:"neighbors,omitempty"`

	// everyEpochs of pretraining the encoder is evaluated, to see how training goes, besides the evaluation at its
	// end; 0: only there. Each takes a forward pass of at most 2·onlineImages images, of one view: by default less
	// than a tenth of an epoch over CIFAR-10. Unit: epochs. Default: 10, this project's choice.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	EveryEpochs *int32 `json:"everyEpochs,omitempty"`

	// onlineImages are used by the evaluations before the end: so many training images, the same share of each
	// class, to find neighbours among, and so many test images. The one at the end uses all. Unit: images. Default:
	// 10000, this project's choice.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	OnlineImages int32 `json:"onlineImages,omitempty"`

	// temperature t: a neighbour of similarity s has the weight exp(s/t); from 0.005 to 10. Default: "0.1"
	// (lightly-ai/lightly's benchmarks; Wu et al. have 0.07).
	// +optional
	// +kubebuilder:default="0.1"
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.005 && double(self) <= 10.0",message="knn.temperature: must be between 0.005 and 10"
	Temperature Decimal `json:"temperature,omitempty"`
}

// LinearMethod is how the linear classifier is trained.
//
// +kubebuilder:validation:Enum=SGD;LBFGS
type LinearMethod string

// The values of LinearMethod.
const (
	// LinearSGD is the paper's: SGD with Nesterov momentum on randomly cropped and flipped images.
	LinearSGD LinearMethod = "SGD"
	// LinearLBFGS is deterministic: L-BFGS on standardised features of un-augmented images.
	LinearLBFGS LinearMethod = "LBFGS"
)

// LinearEvaluationSpec trains a linear classifier on the frozen encoder's features.
//
// +kubebuilder:validation:XValidation:rule="self.method == 'LBFGS' || !has(self.maxIterations)",message="linearEvaluation.maxIterations: is only for method LBFGS; remove it"
// +kubebuilder:validation:XValidation:rule="self.method == 'SGD' || !has(self.epochs)",message="linearEvaluation.epochs: is only for method SGD; remove it"
// +kubebuilder:validation:XValidation:rule="self.method == 'SGD' || !has(self.batchSize)",message="linearEvaluation.batchSize: is only for method SGD; remove it"
// +kubebuilder:validation:XValidation:rule="self.method == 'SGD' || !has(self.learningRate)",message="linearEvaluation.learningRate: is only for method SGD; remove it"
type LinearEvaluationSpec struct {
	// mode switches the stage. Default: Enabled where evaluation.dataset, or else dataset, has labels.
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// method trains the classifier. SGD: on randomly cropped and flipped images. LBFGS: on standardised features of
	// un-augmented images, deterministic. Default: SGD (paper appendix B.6).
	// +optional
	// +kubebuilder:default=SGD
	Method LinearMethod `json:"method,omitempty"`

	// features that the classifier sees. Encoder: h. HeadFirstLayer: what the first layer of a NonLinear projection
	// head gives. Projection: z. The head is frozen too, its batch norm in inference mode. Default: Encoder (paper
	// section 4.2, which compares h with z).
	// +optional
	// +kubebuilder:default=Encoder
	Features Features `json:"features,omitempty"`

	// epochs of SGD. Unit: epochs. Default: 90 above 32 pixels (paper appendix B.6), 100 at or below
	// (google-research/simclr's README).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Epochs *int32 `json:"epochs,omitempty"`

	// batchSize of SGD. Unit: images. Default: pretraining.microBatchSize, else the run's batchSize, or all training
	// images where they are fewer.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	BatchSize *int32 `json:"batchSize,omitempty"`

	// learningRate of SGD with Nesterov momentum 0.9, from 1e-8 to 100; it is multiplied by batchSize/256.
	// Default: "0.1" (paper appendix B.6).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 1e-8 && double(self) <= 100.0",message="linearEvaluation.learningRate: must be between 1e-8 and 100"
	LearningRate *Decimal `json:"learningRate,omitempty"`

	// weightDecay of the classifier, from 0 to 1: of LBFGS the factor of the squared weights' sum in its objective.
	// Default: "0" for SGD (paper appendix B.6), "1e-4" for LBFGS.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="linearEvaluation.weightDecay: must be between 0 and 1"
	WeightDecay *Decimal `json:"weightDecay,omitempty"`

	// maxIterations of LBFGS at most. Unit: iterations. Default: 300, this project's choice.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxIterations *int32 `json:"maxIterations,omitempty"`
}

// FinetuningFrom is where finetuning starts.
//
// +kubebuilder:validation:Enum=Pretrained;Scratch
type FinetuningFrom string

// The values of FinetuningFrom.
const (
	// FromPretrained starts with the run's encoder.
	FromPretrained FinetuningFrom = "Pretrained"
	// FromScratch starts with an encoder as it is initialised: the supervised baseline.
	FromScratch FinetuningFrom = "Scratch"
)

// LabelSubset is a list of images.
type LabelSubset struct {
	// file of the list: a path below the root of the dataset that has the labels. A line of it is an image's file
	// name, n01440764_10026.JPEG, or class/file where several classes have a file of that name. Names that the
	// training images do not have are an error; a name that is there twice counts once.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",message="labelSubset.file: must be a path below the dataset's root, without a leading / or a part '..'"
	File string `json:"file,omitempty"`
}

// FinetuningSpec is one finetuning stage (paper appendix B.5).
//
// +kubebuilder:validation:XValidation:rule="has(self.labelFraction) != has(self.labelSubset)",message="finetuning: set exactly one of labelFraction and labelSubset"
// +kubebuilder:validation:XValidation:rule="!has(self.labelSubset) || has(self.epochs)",message="finetuning epochs: is needed with labelSubset; the paper's are 60 for 1% of the labels and 30 for 10%"
type FinetuningSpec struct {
	// name of the stage, unique in the run: lower case letters, digits and -, starting with a letter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['pretrain', 'linear-eval', 'complete', 'failed', 'suspended'])",message="finetuning name: pretrain, linear-eval, complete, failed and suspended are taken; choose another"
	Name string `json:"name,omitempty"`

	// labelFraction of the training images whose labels are used, the same share of each class and at
	// least one: "0.01" for 1%. A smaller fraction's images are within a larger one's. Above 0 and at most 1.
	// Default: none; set labelFraction or labelSubset.
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="labelFraction: must be above 0 and at most 1"
	LabelFraction Decimal `json:"labelFraction,omitempty"`

	// labelSubset lists the training images whose labels are used, such as those of google-research/simclr for 1% and
	// 10% of ImageNet. Default: none; set labelFraction or labelSubset.
	// +optional
	LabelSubset *LabelSubset `json:"labelSubset,omitempty"`

	// from is where the weights start. Pretrained: the run's encoder. Scratch: as they are initialised, the
	// supervised baseline. Default: Pretrained (paper appendix B.5).
	// +optional
	// +kubebuilder:default=Pretrained
	From FinetuningFrom `json:"from,omitempty"`

	// features that the classifier sees; what of the projection head is before them is trained too. Encoder: h.
	// HeadFirstLayer: what the first layer of a NonLinear head gives, as SimCLRv2 finetunes (arXiv 2006.10029
	// section 2). Projection: z. Default: Encoder (paper appendix B.5).
	// +optional
	// +kubebuilder:default=Encoder
	Features Features `json:"features,omitempty"`

	// epochs over the labelled images. Unit: epochs. Default: 60 up to "0.01" of the labels, 30 above (paper
	// appendix B.5); with labelSubset none, because its share is not known: it must be set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Epochs *int32 `json:"epochs,omitempty"`

	// batchSize of a step. Unit: images. At most the images used. Default: pretraining.microBatchSize, else the run's
	// batchSize, or all images used where they are fewer.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=65536
	BatchSize *int32 `json:"batchSize,omitempty"`

	// learningRate of SGD with Nesterov momentum 0.9, from 1e-8 to 100; it is multiplied by batchSize/256.
	// Default: "0.05" (paper appendix B.5).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 1e-8 && double(self) <= 100.0",message="finetuning learningRate: must be between 1e-8 and 100"
	LearningRate *Decimal `json:"learningRate,omitempty"`

	// weightDecay of all weights but batch norm and biases, from 0 to 1. Default: "0" (paper appendix B.5).
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) <= 1.0",message="finetuning weightDecay: must be between 0 and 1"
	WeightDecay *Decimal `json:"weightDecay,omitempty"`
}
