package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SimCLRRunStatus is what the operator has observed. Its strings are bounded by what the operator cuts them
// to: words of a trainer or a kubelet to 1024 bytes, numbers to 32; the rest are names and digests.
type SimCLRRunStatus struct {
	// observedGeneration is the metadata.generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions of the run: Complete, Failed, Suspended, Progressing, Stalled, ResourcesFit.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// stage is the current stage's name, or Complete, Failed, Suspended.
	// +optional
	// +kubebuilder:validation:MaxLength=14
	Stage string `json:"stage,omitempty"`
	// progress of the current stage: how much of its training is done, such as "42%", or the phase before and
	// after it, such as "Preparing".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Progress string `json:"progress,omitempty"`
	// loss of the current stage's last step; of a complete run, results.pretrainingLoss.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Loss string `json:"loss,omitempty"`
	// imagesPerSecond that the current stage trains on or evaluates. Unit: images a second.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ImagesPerSecond string `json:"imagesPerSecond,omitempty"`
	// eta is the time that the current stage still needs, such as "12m".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ETA string `json:"eta,omitempty"`
	// message of the condition that matters most now.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// restarts charged to restartPolicy.maxRestarts, of all stages. Unit: restarts.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`

	// activeSeconds that trainers of the run have run, all stages and attempts together; while one runs it is behind by
	// up to half a minute. Unit: seconds.
	// +optional
	ActiveSeconds int64 `json:"activeSeconds,omitempty"`
	// activePod is the newest pod that activeSeconds counts: one attempt has several, one after the other, where a queue stops
	// it and starts it again.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ActivePod string `json:"activePod,omitempty"`
	// activeSecondsBefore activePod, which activeSeconds counts too. Unit: seconds.
	// +optional
	ActiveSecondsBefore int64 `json:"activeSecondsBefore,omitempty"`

	// stages of the run, in their order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Stages []StageStatus `json:"stages,omitempty"`

	// results of the stages that are complete.
	// +optional
	Results *Results `json:"results,omitempty"`

	// encoder that pretraining wrote.
	// +optional
	Encoder *EncoderStatus `json:"encoder,omitempty"`

	// image of the trainer, fixed at the start.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// contractVersion between operator and trainer, fixed at the start.
	// +optional
	ContractVersion int32 `json:"contractVersion,omitempty"`
	// configHash is the SHA-256 of the resolved run in the ConfigMap that the trainer reads.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ConfigHash string `json:"configHash,omitempty"`
	// threads the trainer computes with: the CPU limit, fixed at the start.
	// +optional
	Threads int32 `json:"threads,omitempty"`
	// workers that pretrain together: spec.workers, or the hosts of the TPU topology.
	// +optional
	Workers int32 `json:"workers,omitempty"`
	// outputClaim is the PersistentVolumeClaim that holds the run's files.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	OutputClaim string `json:"outputClaim,omitempty"`
}

// StageState is where a stage is in its life.
//
// +kubebuilder:validation:Enum=Pending;Running;Suspended;Complete;Failed
type StageState string

// The stage states.
const (
	StagePending   StageState = "Pending"
	StageRunning   StageState = "Running"
	StageSuspended StageState = "Suspended"
	StageComplete  StageState = "Complete"
	StageFailed    StageState = "Failed"
)

// StageStatus is one stage of a run.
type StageStatus struct {
	// name of the stage: pretrain, linear-eval, or a finetuning entry's name.
	// +required
	// +kubebuilder:validation:MaxLength=14
	Name string `json:"name,omitempty"`
	// state of the stage.
	// +optional
	State StageState `json:"state,omitempty"`
	// startTime of the first attempt.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// finishTime of the last attempt.
	// +optional
	FinishTime *metav1.Time `json:"finishTime,omitempty"`
	// workload is the name of the current attempt's Job, or of its JobSet where there are several workers.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Workload string `json:"workload,omitempty"`
	// attempts that were started. Unit: Jobs or JobSets.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
	// chargedRestarts of this stage.
	// +optional
	ChargedRestarts int32 `json:"chargedRestarts,omitempty"`
	// unchargedInRow is how many uncharged restarts there were since the last newer checkpoint.
	// +optional
	UnchargedInRow int32 `json:"unchargedInRow,omitempty"`
	// progress as the trainer last told it.
	// +optional
	Progress *StageProgress `json:"progress,omitempty"`
	// checkpoint that the trainer last wrote.
	// +optional
	Checkpoint *CheckpointStatus `json:"checkpoint,omitempty"`
	// results of the stage, when it is complete.
	// +optional
	Results *Results `json:"results,omitempty"`
	// lastFailure of an attempt.
	// +optional
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// StageProgress is how far a stage is.
type StageProgress struct {
	// phase of the stage: Preparing, Compiling, Training, Evaluating.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Phase string `json:"phase,omitempty"`
	// epoch that is being trained, from 1.
	// +optional
	Epoch int32 `json:"epoch,omitempty"`
	// step that was last finished.
	// +optional
	Step int64 `json:"step,omitempty"`
	// totalSteps of the stage.
	// +optional
	TotalSteps int64 `json:"totalSteps,omitempty"`
	// percent of the stage's work that is done, from 0 to 100.
	// +optional
	Percent int32 `json:"percent,omitempty"`
	// loss of the last step.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Loss string `json:"loss,omitempty"`
	// contrastiveAccuracy of the last step: how often a first view's most similar second view is its
	// own. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ContrastiveAccuracy string `json:"contrastiveAccuracy,omitempty"`
	// imagesPerSecond over the last seconds. Unit: images a second.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ImagesPerSecond string `json:"imagesPerSecond,omitempty"`
	// zStandardDeviation is the standard deviation of each dimension of normalised z over the views of a step, the
	// mean over dimensions: 1/√D where z's directions are spread evenly, 0.0884 of 128 dimensions; 0 where all
	// are one (Chen and He 2021, arXiv 2011.10566, section 4.1). Of pretraining, taken now and then.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ZStandardDeviation string `json:"zStandardDeviation,omitempty"`
	// zEffectiveRank is how many directions normalised z uses, from 1 to its dimension: the exponential of the
	// entropy of its singular values (RankMe, arXiv 2210.02885). Of pretraining, taken now and then.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ZEffectiveRank string `json:"zEffectiveRank,omitempty"`
	// knnTop1 accuracy of the encoder after knnEpoch epochs; before the last one, on at most knn.onlineImages
	// images. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	KNNTop1 string `json:"knnTop1,omitempty"`
	// knnEpoch is how many epochs were done at the last evaluation by kNN. Unit: epochs.
	// +optional
	KNNEpoch int32 `json:"knnEpoch,omitempty"`
}

// CheckpointStatus is the newest checkpoint of a stage.
type CheckpointStatus struct {
	// uri is pvc://CLAIM/PATH of the directory of the stage's checkpoints.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URI string `json:"uri,omitempty"`
	// step after which it was saved.
	// +optional
	Step int64 `json:"step,omitempty"`
	// savedAt is when it was saved, by the trainer's clock.
	// +optional
	SavedAt *metav1.Time `json:"savedAt,omitempty"`
	// resumedFrom is the step that the current attempt went on from.
	// +optional
	ResumedFrom *int64 `json:"resumedFrom,omitempty"`
}

// Failure is why an attempt ended.
type Failure struct {
	// pod that failed.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod,omitempty"`
	// node it ran on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`
	// rank of the worker that failed first, from 0, where there are several.
	// +optional
	Rank *int32 `json:"rank,omitempty"`
	// exitCode of the trainer, by the trainer contract.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// reason in one word: the trainer's, the kubelet's or the disruption's.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// message for a person: the trainer's, or the end of its log.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// charge says whether it counts against restartPolicy.maxRestarts: Charged or Uncharged; empty where the stage
	// is not tried again.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Charge string `json:"charge,omitempty"`
	// time it was observed.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// Results are accuracies on the test images, in percent with two decimals, such as "39.88".
// results.json has the same structure.
type Results struct {
	// knnTop1 accuracy of the pretrained encoder's features. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	KNNTop1 string `json:"knnTop1,omitempty"`
	// linearTop1 accuracy of linear evaluation. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinearTop1 string `json:"linearTop1,omitempty"`
	// linearTop5 accuracy of linear evaluation. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinearTop5 string `json:"linearTop5,omitempty"`
	// pretrainingLoss is the mean NT-Xent loss of the last epoch.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PretrainingLoss string `json:"pretrainingLoss,omitempty"`
	// finetune has an entry for each finetuning stage that is complete.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Finetune []FinetuneResult `json:"finetune,omitempty"`
	// skippedImages that could not be decoded. Unit: images.
	// +optional
	SkippedImages int64 `json:"skippedImages,omitempty"`
}

// FinetuneResult is what one finetuning stage reached.
type FinetuneResult struct {
	// name of the stage.
	// +required
	// +kubebuilder:validation:MaxLength=14
	Name string `json:"name,omitempty"`
	// top1 accuracy. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Top1 string `json:"top1,omitempty"`
	// top5 accuracy. Unit: percent.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Top5 string `json:"top5,omitempty"`
	// labels is how many labelled images were used. Unit: images.
	// +optional
	Labels int64 `json:"labels,omitempty"`
}

// EncoderStatus is where the encoder's files are.
type EncoderStatus struct {
	// uri is pvc://CLAIM/PATH of the directory with model.safetensors and config.json.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URI string `json:"uri,omitempty"`
	// sha256 of model.safetensors.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SHA256 string `json:"sha256,omitempty"`
}

// The condition types of a SimCLRRun; docs/api/simclrrun.md has every reason.
const (
	// ConditionComplete: every stage is complete.
	ConditionComplete = "Complete"
	// ConditionFailed: the run ended without its results.
	ConditionFailed = "Failed"
	// ConditionSuspended: spec.suspend is true and no pod runs.
	ConditionSuspended = "Suspended"
	// ConditionProgressing: a stage trains or is about to.
	ConditionProgressing = "Progressing"
	// ConditionStalled: nothing will happen until a person acts.
	ConditionStalled = "Stalled"
	// ConditionResourcesFit: the scheduler found or could find a node.
	ConditionResourcesFit = "ResourcesFit"
)
