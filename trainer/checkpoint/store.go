package checkpoint

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Environment is what bit-identical resuming depends on, besides the image.
type Environment struct {
	Threads   int               `json:"threads"`
	ISA       string            `json:"isa"`               // the instruction set of the kernels
	Libraries map[string]string `json:"libraries"`         // name to version
	Workers   int               `json:"workers,omitempty"` // that train together; 0 is 1
}

// Options of a Store.
type Options struct {
	Attempt     int32 // of the stage, from 1
	Keep        int   // checkpoints that stay, the newest ones
	ConfigHash  string
	Environment Environment
}

// State is all that training goes on from. There is no state of random generators: all randomness follows
// from the seed and counters, epoch, image and view.
type State struct {
	Step  int64 // steps that are done
	Epoch int32 // of the next step, from 0
	Batch int64 // of the next step within its epoch, from 0
	// Extra is what else is small; it is the caller's.
	Extra   json.RawMessage
	Tensors []safetensors.Tensor
}

// Store is the checkpoints of one stage, open for one attempt. An attempt may have several pods, one after the other: a queue stops
// a Job and starts it again. The one that opened them last writes.
type Store struct {
	dir    string
	stage  string
	o      Options
	writer string // in one word that no other Store has
}

const (
	stateFile   = "state.safetensors"
	latestFile  = "latest"
	attemptFile = "attempt"
	stepPrefix  = "step-"
)

func stageDir(outputDir, stage string) string {
	return filepath.Join(outputDir, contract.CheckpointsDir, stage)
}

// LastAttempt is the newest attempt that has opened a stage's checkpoints; 0 where none has.
func LastAttempt(outputDir, stage string) (int32, error) {
	attempt, _, err := lastWriter(outputDir, stage)
	return attempt, err
}

// lastWriter is the newest attempt that has opened a stage's checkpoints, and which Store of it was the last.
func lastWriter(outputDir, stage string) (attempt int32, writer string, err error) {
	path := filepath.Join(stageDir(outputDir, stage), attemptFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", StorageError(err, "reading "+path)
	}
	number, writer, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	if n, err := strconv.ParseInt(number, 10, 32); err == nil {
		return int32(n), writer, nil
	}
	return 0, "", nil // damaged: the next Open writes it anew
}

// Open opens a stage's checkpoints for an attempt. From now on older attempts, and older pods of this one, may not write: a
// worker on a node that was lost and came back must not overwrite what its successor saved. What crashes left unfinished is
// removed.
func Open(outputDir, stage string, o Options) (*Store, error) {
	s := &Store{dir: stageDir(outputDir, stage), stage: stage, o: o, writer: rand.Text()}
	newest, _, err := lastWriter(outputDir, stage)
	if err != nil {
		return nil, err
	}
	if newest > o.Attempt {
		return nil, s.stale(newest)
	}
	if err := WriteFile(filepath.Join(s.dir, attemptFile), fmt.Appendf(nil, "%d %s\n", o.Attempt, s.writer)); err != nil {
		return nil, err
	}
	return s, StorageError(clean(s.dir), "opening "+s.dir)
}

// Fence is an error where a newer attempt, or a newer pod of this one, has opened the stage's checkpoints: ask it before every
// write to the output.
func (s *Store) Fence() error {
	newest, writer, err := lastWriter(s.outputDir(), s.stage)
	if err != nil {
		return err
	}
	if newest > s.o.Attempt {
		return s.stale(newest)
	}
	if newest == s.o.Attempt && writer != s.writer {
		return contract.Errorf(contract.ExitStorage, "StaleAttempt", "this pod may not write: another of attempt %d of stage %s has begun", newest, s.stage)
	}
	return nil
}

func (s *Store) stale(newest int32) error {
	return contract.Errorf(contract.ExitStorage, "StaleAttempt", "attempt %d of stage %s may not write: attempt %d has begun", s.o.Attempt, s.stage, newest)
}

func (s *Store) outputDir() string { return filepath.Dir(filepath.Dir(s.dir)) }

// Path is the directory of a step's checkpoint.
func (s *Store) Path(step int64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%09d", stepPrefix, step))
}

// steps that have a checkpoint, valid or not, newest first.
func (s *Store) steps() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var steps []int64
	for _, e := range entries {
		n, ok := strings.CutPrefix(e.Name(), stepPrefix)
		if step, err := strconv.ParseInt(n, 10, 64); ok && err == nil && e.Name() == filepath.Base(s.Path(step)) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps, nil
}
