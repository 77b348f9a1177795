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
// +kubebuilder:printcolumn:name="Images/s",type=string,priority=1,JSONPath=`.status.imagesPerSecond`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
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

// SimCLRRunSpec is the experiment that is wanted.
type SimCLRRunSpec struct {
	// dataset is the data to pretrain on. Its labels, where it has any, serve the later stages.
	// +required
	Dataset DatasetSpec `json:"dataset,omitzero"`

	// evaluation is the labelled data of the later stages. Default: the dataset itself.
	// +optional
	Evaluation *EvaluationSpec `json:"evaluation,omitempty"`

	// augmentations make two views of an image (paper section 2.1 and appendix A).
	// Default: the paper's for the image size.
	// +optional
	Augmentations *AugmentationsSpec `json:"augmentations,omitempty"`

	// encoder is the ResNet f(·) that is pretrained.
	// +optional
	// +kubebuilder:default={}
	Encoder EncoderSpec `json:"encoder,omitzero"`

	// projectionHead is g(·), which maps the encoder's h to z, where NT-Xent is applied
	// (paper section 2.1).
	// +optional
	// +kubebuilder:default={}
	ProjectionHead ProjectionHeadSpec `json:"projectionHead,omitzero"`

	// batchSize is the global number of images N of a pretraining step, over all workers and
	// devices; a step sees 2N views. Unit: images.
	// +required
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=65536
	BatchSize int32 `json:"batchSize,omitempty"`

	// pretraining is the contrastive stage.
	// +optional
	// +kubebuilder:default={}
	Pretraining PretrainingSpec `json:"pretraining,omitzero"`

	// knn classifies the test images by their nearest training images in the encoder's features,
	// at the end of the pretrain stage.
	// +optional
	// +kubebuilder:default={}
	KNN KNNSpec `json:"knn,omitzero"`

	// linearEvaluation trains a linear classifier on the frozen encoder's features (paper section 2.3).
	// +optional
	// +kubebuilder:default={}
	LinearEvaluation LinearEvaluationSpec `json:"linearEvaluation,omitzero"`

	// finetuning trains the whole network on a fraction of the labels, one stage an entry, in this
	// order (paper section 6, table 7).
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Finetuning []FinetuningSpec `json:"finetuning,omitempty"`

	// accelerator is the kind of device that trains.
	// +optional
	// +kubebuilder:default={}
	Accelerator AcceleratorSpec `json:"accelerator,omitzero"`

	// checkpoint says how often a stage's state is saved.
	// +optional
	// +kubebuilder:default={}
	Checkpoint CheckpointSpec `json:"checkpoint,omitzero"`

	// output says where checkpoints, the encoder and the results are kept.
	// +optional
	// +kubebuilder:default={}
	Output OutputSpec `json:"output,omitzero"`

	// suspend stops the run: it saves a checkpoint and frees its node. false lets it go on from there.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// restartPolicy limits how often a failed stage is tried again.
	// +optional
	// +kubebuilder:default={}
	RestartPolicy RestartPolicy `json:"restartPolicy,omitzero"`

	// template changes the trainer's pods.
	// +optional
	// +kubebuilder:default={}
	Template PodTemplate `json:"template,omitzero"`
}
