// Package contract is what the operator and the trainer agree on, besides the API type: exit codes,
// the termination message, progress, the environment, and where files are. docs/trainer-contract.md
// is its text. Any image that keeps it can be a trainer.
package contract

import (
	"errors"
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Version of the contract.
const Version = 1

// Exit codes of a stage.
const (
	ExitDone      = 0   // the stage is complete
	ExitUserError = 10  // bad data, bad config, no engine for this accelerator, batch too large: never retried
	ExitDiverged  = 11  // the loss is not a number any more: never retried
	ExitDevice    = 12  // a device is missing or broken: the next attempt avoids the node
	ExitPeerLost  = 13  // another worker is gone
	ExitStorage   = 14  // storage failed, also when the save at SIGTERM failed
	ExitStalled   = 15  // the trainer's watchdog ended it
	ExitInterrupt = 130 // Ctrl-C, checkpoint saved
	ExitTerminate = 143 // SIGTERM, checkpoint saved
)

// Where things are in a trainer's container.
const (
	RunFile            = "/etc/simclr/run.yaml"                   // the resolved SimCLRRun
	OutputDir          = "/output"                                // the output claim; a run's files are in <OutputDir>/<run UID>
	DataDir            = "/data"                                  // pvc://CLAIM/PATH is <DataDir>/CLAIM/PATH, read-only
	SecretsDir         = "/var/run/secrets/simclr"                // what datasets refer to: <SecretsDir>/<DatasetSecrets or EvaluationSecrets>/…
	DatasetSecrets     = "dataset"                                // of spec.dataset
	EvaluationSecrets  = "evaluation"                             // of spec.evaluation.dataset
	CredentialsDir     = "credentials"                            // …/credentials/<key of the Secret>
	CADir              = "ca"                                     // …/ca/<CAFile>
	CAFile             = "ca.crt"                                 // the certificates of caBundle, PEM
	TerminationLog     = "/dev/termination-log"                   // the termination message
	HTTPPort           = 8080                                     // /metrics, /healthz, /progress
	CollectivePort     = 7070                                     // of each of several workers, for the others of the run
	CollectiveKeyPath  = "/var/run/secrets/simclr/collective/key" // of several workers: 32 random bytes in hexadecimal, the run's secret
	MaxMessageBytes    = 2048                                     // of the termination message
	MaxProgressBytes   = 64 << 10                                 // of a /progress answer
	MaxWarnings        = 8                                        // of both, the first ones
	MaxWarningBytes    = 500                                      // of each; the rest is cut off
	EnvAttempt         = "SIMCLR_ATTEMPT"                         // the stage's attempt, from 1
	EnvThreads         = "SIMCLR_THREADS"                         // compute threads
	EnvDeadline        = "SIMCLR_DEADLINE"                        // seconds that a unit of work may take: progressDeadlineSeconds
	EnvOutput          = "SIMCLR_OUTPUT"                          // the run's output directory
	EnvWorkers         = "SIMCLR_WORKERS"                         // of several workers: how many, from 2
	EnvRank            = "SIMCLR_RANK"                            // of several workers: which, from 0
	EnvCoordinator     = "SIMCLR_COORDINATOR"                     // of several workers: HOST:PORT of rank 0
	EnvCollective      = "SIMCLR_COLLECTIVE_ADDRESS"              // overrides :7070
	EnvCollectiveKey   = "SIMCLR_COLLECTIVE_KEY"                  // overrides CollectiveKeyPath
	EnvDatasetMirror   = "SIMCLR_DATASET_MIRROR"                  // base URL of known datasets: <mirror>/<name>/<file>
	EnvTerminationPath = "SIMCLR_TERMINATION_LOG"                 // overrides TerminationLog
	EnvHTTPAddress     = "SIMCLR_HTTP_ADDRESS"                    // overrides :8080
	EnvPlugin          = "SIMCLR_PJRT_PLUGIN"                     // file of the PJRT plugin, instead of the image's
	EncoderDir         = "encoder"                                // in the output directory
	CheckpointsDir     = "checkpoints"                            // in the output directory: <stage>/…
	CompiledDir        = "compiled"                               // in the output directory: an accelerator's programs, which may be deleted
	ResultsFile        = "results.json"                           // in the output directory
)

// TerminationMessage is the JSON that a stage leaves at its exit, at most MaxMessageBytes.
type TerminationMessage struct {
	SchemaVersion int    `json:"schemaVersion"`
	Stage         string `json:"stage"`
	Attempt       int32  `json:"attempt"`
	ExitCode      int32  `json:"exitCode"`
	// Reason in one CamelCase word, Message for a person: of an exit that is not 0.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Results of this stage alone, of exit 0.
	Results *v1alpha1.Results `json:"results,omitempty"`
	// Encoder's file digest, of exit 0 of the pretrain stage.
	EncoderSHA256 string `json:"encoderSHA256,omitempty"`
	// Step reached and the step resumed from.
	Step        int64  `json:"step,omitempty"`
	ResumedFrom *int64 `json:"resumedFrom,omitempty"`
	// Checkpoint step saved last.
	CheckpointStep int64 `json:"checkpointStep,omitempty"`
	// Warnings that a person should see, such as a damaged checkpoint that was skipped.
	Warnings []string `json:"warnings,omitempty"`
}

// Progress is what /progress answers, at most MaxProgressBytes of JSON.
type Progress struct {
	SchemaVersion int    `json:"schemaVersion"`
	Stage         string `json:"stage"`
	Attempt       int32  `json:"attempt"`
	// Phase: Preparing, Compiling, Training or Evaluating.
	Phase      string `json:"phase"`
	Epoch      int32  `json:"epoch"`
	Step       int64  `json:"step"`
	TotalSteps int64  `json:"totalSteps"`
	// Done and Total count the phase's work in its own unit (steps, images, bytes).
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	// SinceLastUnitSeconds by the trainer's own clock.
	SinceLastUnitSeconds float64 `json:"sinceLastUnitSeconds"`
	Loss                 float64 `json:"loss"`
	ContrastiveAccuracy  float64 `json:"contrastiveAccuracy"` // percent
	// ZStandardDeviation of the dimensions of normalised z, their mean; ZEffectiveRank of normalised z.
	ZStandardDeviation float64 `json:"zStandardDeviation,omitempty"`
	ZEffectiveRank     float64 `json:"zEffectiveRank,omitempty"`
	// KNNTop1 of the encoder after KNNEpoch epochs, in percent.
	KNNTop1           float64  `json:"knnTop1,omitempty"`
	KNNEpoch          int32    `json:"knnEpoch,omitempty"`
	ImagesPerSecond   float64  `json:"imagesPerSecond"`
	ETASeconds        float64  `json:"etaSeconds"`
	CheckpointStep    int64    `json:"checkpointStep"`
	CheckpointSavedAt string   `json:"checkpointSavedAt,omitempty"` // RFC 3339
	ResumedFrom       *int64   `json:"resumedFrom,omitempty"`
	Warnings          []string `json:"warnings,omitempty"`
}

// Error is an error with the exit code that the contract gives it.
type Error struct {
	Code   int
	Reason string // one CamelCase word
	Err    error
}

// Error is the message for a person.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// UserErrorf is an error that the user must mend: it names the field and the fix (exit 10).
func UserErrorf(reason, format string, args ...any) error {
	return &Error{Code: ExitUserError, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Errorf is an error with an exit code of its own.
func Errorf(code int, reason, format string, args ...any) error {
	return &Error{Code: code, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// ExitCode is the exit code of an error: 0 for nil, 1 where none was given.
func ExitCode(err error) int {
	var e *Error
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &e):
		return e.Code
	}
	return 1
}
