package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SimCLRRun is one SimCLR experiment: contrastive pretraining of an encoder without labels, then
// linear evaluation and finetuning with labels (Chen et al. 2020, arXiv 2002.05709).
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=simclrruns,singular=simclrrun,shortName=scr,categories=simclr,scope=Namespaced
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.stage`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Loss",type=string,JSONPath=`.status.loss`
// +kubebuilder:printcolumn:name="kNN",type=string,JSONPath=`.status.results.knnTop1`
// +kubebuilder:printcolumn:name="Linear",type=string,JSONPath=`.status.results.linearTop1`
// +kubebuilder:printcolumn:name="ETA",type=string,JSONPath=`.status.eta`
// +kubebuilder:printcolumn:name="Restarts",type=integer,JSONPath=`.status.restarts`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Accelerator",type=string,priority=1,JSONPath=`.spec.accelerator.type`
// +kubebuilder:printcolumn:name="Workers",type=integer,priority=1,JSONPath=`.status.workers`
// +kubebuilder:printcolumn:name="Images/s",type=string,priority=1,JSONPath=`.status.imagesPerSecond`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name: must be lower case letters, digits and -, and start with a letter"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 30",message="metadata.name: must have at most 30 characters; Jobs and pods are named by it"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.pretraining.from) || !has(self.spec.pretraining.from.run) || self.spec.pretraining.from.run != self.metadata.name",message="pretraining.from.run: names the run itself; name another run"
type SimCLRRun struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the experiment that is wanted.
	// +required
	Spec SimCLRRunSpec `json:"spec,omitzero"`

	// status is what the operator has observed.
	// +optional
	Status SimCLRRunStatus `json:"status,omitzero"`
}

// SimCLRRunList is a list of SimCLRRuns.
//
// +kubebuilder:object:root=true
type SimCLRRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SimCLRRun `json:"items"`
}

// SimCLRRunSpec is the experiment that is wanted. The API server evaluates the rules at each write of a status too, and looks all fields
// of an object up for each that a rule names: what holds of most runs comes first in a rule, and a rule of one field is with that.
//
// +kubebuilder:validation:XValidation:rule="self.dataset.labels != 'None' && (!has(self.dataset.format) || self.dataset.format != 'Images') || has(self.evaluation) || !has(self.knn.mode) || self.knn.mode == 'Disabled'",message="knn.mode: needs labels; set evaluation.dataset to a labelled dataset, or set it to Disabled"
// +kubebuilder:validation:XValidation:rule="self.dataset.labels != 'None' && (!has(self.dataset.format) || self.dataset.format != 'Images') || has(self.evaluation) || !has(self.linearEvaluation.mode) || self.linearEvaluation.mode == 'Disabled'",message="linearEvaluation.mode: needs labels; set evaluation.dataset to a labelled dataset, or set it to Disabled"
// +kubebuilder:validation:XValidation:rule="self.dataset.labels != 'None' && (!has(self.dataset.format) || self.dataset.format != 'Images') || has(self.evaluation) || !has(self.finetuning) || size(self.finetuning) == 0",message="finetuning: needs labels; set evaluation.dataset to a labelled dataset, or remove finetuning"
// +kubebuilder:validation:XValidation:rule="!has(self.finetuning) || !self.finetuning.exists(f, has(f.labelSubset)) || (has(self.evaluation) ? has(self.evaluation.dataset.format) && self.evaluation.dataset.format in ['ImageFolder', 'WebDataset'] : has(self.dataset.format) && self.dataset.format in ['ImageFolder', 'WebDataset'])",message="finetuning labelSubset: needs images with names, and only those of format ImageFolder or WebDataset have some; set labelFraction instead"
// +kubebuilder:validation:XValidation:rule="!has(self.dataset.limit) && self.batchSize <= 50000 || has(self.pretraining.from) || (has(self.dataset.limit) ? self.batchSize <= self.dataset.limit : !has(self.dataset.name) || self.batchSize <= (self.dataset.name == 'cifar-10' ? 50000 : 60000))",message="batchSize: is more than the training images of the dataset; set it to at most that"
// +kubebuilder:validation:XValidation:rule="self.projectionHead.type == 'NonLinear' || self.linearEvaluation.features != 'HeadFirstLayer'",message="linearEvaluation.features: HeadFirstLayer needs projectionHead.type NonLinear; set it to Encoder or Projection"
// +kubebuilder:validation:XValidation:rule="self.projectionHead.type == 'NonLinear' || !has(self.finetuning) || self.finetuning.all(f, f.features != 'HeadFirstLayer')",message="finetuning features: HeadFirstLayer needs projectionHead.type NonLinear; set it to Encoder or Projection"
// +kubebuilder:validation:XValidation:rule="!has(self.augmentations) || !has(self.augmentations.gaussianBlur) || !has(self.augmentations.gaussianBlur.mode) || self.augmentations.gaussianBlur.mode == 'Disabled' || (has(self.augmentations.gaussianBlur.kernelSize) ? self.augmentations.gaussianBlur.kernelSize >= 3 : !has(self.dataset.imageSize) || self.dataset.imageSize >= 20)",message="augmentations.gaussianBlur.mode: below 20 pixels its kernel, a tenth of the height, is a single pixel; set it to Disabled, kernelSize to 3 or more, or dataset.imageSize to at least 20"
// +kubebuilder:validation:XValidation:rule="!has(self.workers) && !has(self.accelerator.devicesPerWorker) || self.accelerator.type == 'TPU' || self.batchSize % ((has(self.workers) ? self.workers : 1) * (has(self.accelerator.devicesPerWorker) ? self.accelerator.devicesPerWorker : 1)) == 0",message="batchSize: must be a multiple of workers × accelerator.devicesPerWorker; each device trains on as many images"
// +kubebuilder:validation:XValidation:rule="self.accelerator.type != 'TPU' || !has(self.workers)",message="workers: follows from accelerator.topology for type TPU; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.workers) || self.workers == 1 || !has(self.output.claim) || !has(self.output.claim.accessMode) || self.output.claim.accessMode == 'ReadWriteMany'",message="output.claim.accessMode: several workers need ReadWriteMany, since they may be on several nodes; set it to that, or workers to 1"
// +kubebuilder:validation:XValidation:rule="self.accelerator.type != 'TPU' || !has(self.accelerator.topology) || !self.accelerator.topology.matches('^[1-9][0-9]{0,2}x[1-9][0-9]{0,2}(x[1-9][0-9]{0,2})?$') || self.batchSize % ((has(self.accelerator.generation) && self.accelerator.generation == 'v3' ? 2 : 1) * int(self.accelerator.topology.split('x')[0]) * int(self.accelerator.topology.split('x')[1]) * (size(self.accelerator.topology.split('x')) == 3 ? int(self.accelerator.topology.split('x')[2]) : 1)) == 0",message="batchSize: must be a multiple of the chips of accelerator.topology, of v3 twice as many: a chip has two cores"
// +kubebuilder:validation:XValidation:rule="!has(self.pretraining.microBatchSize) || self.batchSize % (self.pretraining.microBatchSize * (has(self.workers) ? self.workers : 1)) == 0",message="pretraining.microBatchSize: must divide batchSize / workers, a worker's images"
// +kubebuilder:validation:XValidation:rule="!has(self.pretraining.microBatchSize) || self.accelerator.type == 'TPU' || self.pretraining.microBatchSize * (has(self.workers) ? self.workers : 1) == self.batchSize || !has(self.pretraining.batchNormStatistics) || self.pretraining.batchNormStatistics == 'MicroBatch'",message="pretraining.batchNormStatistics: Global and Worker need a worker's images at once; set it to MicroBatch, or remove microBatchSize"
// +kubebuilder:validation:XValidation:rule="has(self.managedBy) == has(oldSelf.managedBy) && (!has(self.managedBy) || self.managedBy == oldSelf.managedBy)",message="managedBy: may not change; make a new run"
// +kubebuilder:validation:XValidation:rule="has(self.evaluation) == has(oldSelf.evaluation) && (!has(self.evaluation) || self.evaluation == oldSelf.evaluation)",message="evaluation: may not change; make a new run"
// +kubebuilder:validation:XValidation:rule="has(self.augmentations) == has(oldSelf.augmentations) && (!has(self.augmentations) || self.augmentations == oldSelf.augmentations)",message="augmentations: may not change; make a new run"
// +kubebuilder:validation:XValidation:rule="has(self.finetuning) == has(oldSelf.finetuning) && (!has(self.finetuning) || self.finetuning == oldSelf.finetuning)",message="finetuning: may not change; make a new run"
// +kubebuilder:validation:XValidation:rule="self.accelerator == oldSelf.accelerator || has(oldSelf.suspend) && oldSelf.suspend",message="accelerator: may change only while the run is suspended; set suspend to true first"
// +kubebuilder:validation:XValidation:rule="(has(oldSelf.suspend) && oldSelf.suspend) || (has(self.workers) == has(oldSelf.workers) && (!has(self.workers) || self.workers == oldSelf.workers))",message="workers: may change only while the run is suspended; set suspend to true first"
// +kubebuilder:validation:XValidation:rule="self.template == oldSelf.template || has(oldSelf.suspend) && oldSelf.suspend",message="template: may change only while the run is suspended; set suspend to true first"
type SimCLRRunSpec struct {
	// dataset is the data to pretrain on. Its labels, where it has any, serve the later stages.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="dataset: may not change; make a new run"
	Dataset DatasetSpec `json:"dataset,omitzero"`

	// evaluation is the labelled data of the later stages. Default: the dataset itself.
	// +optional
	Evaluation *EvaluationSpec `json:"evaluation,omitempty"`

	// augmentations make two views of an image (paper section 2.1 and appendix A).
	// Default: the paper's for the image size.
	// +optional
	Augmentations *AugmentationsSpec `json:"augmentations,omitempty"`

	// encoder is the ResNet f(·) that is pretrained. Default: a ResNet-18 of width 1.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="encoder: may not change; make a new run"
	Encoder EncoderSpec `json:"encoder,omitzero"`

	// projectionHead is g(·), which maps the encoder's h to z, where NT-Xent is applied
	// (paper section 2.1). Default: the paper's, of 128 channels.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="projectionHead: may not change; make a new run"
	ProjectionHead ProjectionHeadSpec `json:"projectionHead,omitzero"`

	// batchSize is the global number of images N of a pretraining step, over all workers and
	// devices; a step sees 2N views. Unit: images.
	// +required
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=65536
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="batchSize: may not change; make a new run"
	BatchSize int32 `json:"batchSize,omitempty"`

	// pretraining is the contrastive stage. Default: 100 epochs as the paper trains the image size.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="pretraining: may not change; make a new run"
	Pretraining PretrainingSpec `json:"pretraining,omitzero"`

	// knn classifies the test images by their nearest training images in the encoder's features,
	// at the end of the pretrain stage and every few epochs before. Default: 200 neighbours, where there are labels.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="knn: may not change; make a new run"
	KNN KNNSpec `json:"knn,omitzero"`

	// linearEvaluation trains a linear classifier on the frozen encoder's features (paper section 2.3).
	// Default: the paper's for the image size, where there are labels.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="linearEvaluation: may not change; make a new run"
	LinearEvaluation LinearEvaluationSpec `json:"linearEvaluation,omitzero"`

	// finetuning trains the whole network on a fraction of the labels, one stage an entry, in this
	// order (paper section 6, table 7). Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Finetuning []FinetuningSpec `json:"finetuning,omitempty"`

	// accelerator is the kind of device that trains. Default: CPU.
	// +optional
	// +kubebuilder:default={}
	Accelerator AcceleratorSpec `json:"accelerator,omitzero"`

	// workers are the pods that pretrain together, each on as many of a step's images; one starts again only with all
	// others. The stages after pretraining have one. More than one needs JobSet in the cluster, and an output claim of
	// access mode ReadWriteMany. May change while the run is suspended. Unit: pods. Default: 1; for type TPU the hosts of the
	// topology, where it may not be set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Workers *int32 `json:"workers,omitempty"`

	// checkpoint says how often a stage's state is saved. Default: every 300 seconds, the newest 2 are kept.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="checkpoint: may not change; make a new run"
	Checkpoint CheckpointSpec `json:"checkpoint,omitzero"`

	// output says where checkpoints, the encoder and the results are kept. Default: a claim of 10Gi.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="output: may not change; make a new run"
	Output OutputSpec `json:"output,omitzero"`

	// suspend stops the run: it saves a checkpoint and frees its node. false lets it go on from there.
	// Default: false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// restartPolicy limits how often a failed stage is tried again. Default: 3 restarts.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="restartPolicy: may not change; make a new run"
	RestartPolicy RestartPolicy `json:"restartPolicy,omitzero"`

	// progressDeadlineSeconds is how long a unit of the trainer's work (a step, a block of images, by its own clock) may
	// take before the attempt counts as stalled and is ended, which is a failure. May change at any time, for attempts to come.
	// Unit: seconds. Default: 1800, this project's choice.
	// +optional
	// +kubebuilder:default=1800
	// +kubebuilder:validation:Minimum=30
	// +kubebuilder:validation:Maximum=604800
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// activeDeadlineSeconds is how long trainers of the run may run, all stages and attempts together, before the run is
	// stopped, with a checkpoint, and fails. Time in which it is suspended, queued or waits for a node does not count. May
	// change at any time. Unit: seconds. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=315360000
	ActiveDeadlineSeconds *int32 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished deletes the run so long after it is complete or has failed. Its output claim stays, unless
	// output.claim.retention is Delete. May change at any time. Unit: seconds. Default: none, the run stays.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=315360000
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// managedBy names the controller that has the run, such as kueue.x-k8s.io/multikueue; this operator leaves a run alone
	// that names another. Default: training.simclr.dev/simclr-operator, this one.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	ManagedBy string `json:"managedBy,omitempty"`

	// template changes the trainer's pods. Default: nothing is changed.
	// +optional
	// +kubebuilder:default={}
	Template PodTemplate `json:"template,omitzero"`
}
