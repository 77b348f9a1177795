//go:build e2e

package chaos

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// trainerUser owns what trainers write (docs/trainer-contract.md).
const trainerUser = 65532

// output is the run's directory on the node.
func (s *trial) output() string {
	s.Helper()
	run := s.Get()
	var claim corev1.PersistentVolumeClaim
	s.Must(scenario.API.Get(s.Context(), s.Key(run.Status.OutputClaim), &claim))
	var volume corev1.PersistentVolume
	s.Must(scenario.API.Get(s.Context(), client.ObjectKey{Name: claim.Spec.VolumeName}, &volume))
	return filepath.Join(volume.Spec.Local.Path, string(run.UID))
}

func (s *trial) checkpoints() string {
	s.Helper()
	return filepath.Join(s.output(), contract.CheckpointsDir, pretrain)
}

// newest is the step of the newest checkpoint that is whole; 0 where there is none.
func (s *trial) newest() (step int64) {
	s.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.checkpoints(), "step-*"))
	s.Must(err)
	for _, dir := range dirs {
		n, err := strconv.ParseInt(strings.TrimPrefix(filepath.Base(dir), "step-"), 10, 64)
		s.Must(err)
		step = max(step, n)
	}
	return step
}

// stopped runs something while the run is suspended and has two checkpoints; it is given the newest's directory. The run goes
// on from the one before.
func (s *trial) stopped(change func(newest string)) {
	s.Helper()
	dir := s.checkpoints()
	var steps []string
	s.Eventually("two checkpoints", scenario.Patience, func() string {
		steps, _ = filepath.Glob(filepath.Join(dir, "step-*"))
		if len(steps) < 2 {
			return "fewer"
		}
		return ""
	})
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	steps, err := filepath.Glob(filepath.Join(dir, "step-*"))
	s.Must(err)
	slices.Sort(steps)
	before := filepath.Base(steps[len(steps)-2])
	s.saved, err = strconv.ParseInt(strings.TrimPrefix(before, "step-"), 10, 64)
	s.Must(err)
	change(steps[len(steps)-1])
	s.Edit(scenario.Suspended(false))
}

// checkpointDamaged flips a bit of the newest checkpoint's weights.
func checkpointDamaged(s *trial) {
	s.stopped(func(newest string) {
		file := filepath.Join(newest, "state.safetensors")
		raw, err := os.ReadFile(file)
		s.Must(err)
		raw[len(raw)-1000] ^= 1
		s.Must(os.WriteFile(file, raw, 0o644))
	})
}

func checkpointTruncated(s *trial) {
	s.stopped(func(newest string) {
		file := filepath.Join(newest, "state.safetensors")
		info, err := os.Stat(file)
		s.Must(err)
		s.Must(os.Truncate(file, info.Size()/2))
	})
}

// checkpointHalfRenamed is what a node leaves that loses its power after the directory's rename, and before its files' names
// were on the disk.
func checkpointHalfRenamed(s *trial) {
	s.stopped(func(newest string) {
		s.Must(os.Rename(newest, filepath.Join(filepath.Dir(newest), ".tmp-step-lost")))
		s.Must(os.Mkdir(newest, 0o755))
		s.Must(os.Chown(newest, trainerUser, trainerUser))
	})
}

// smallDisk of the run whose disk gets full.
const smallDisk = "/var/lib/simclr-cluster/volumes/small-disk"

// onSmallDisk gives the run a claim on a file system of its own, of 32 MiB.
func onSmallDisk(t *testing.T, r *v1alpha1.SimCLRRun) {
	for _, err := range []error{
		os.MkdirAll(smallDisk, 0o770),
		syscall.Mount("tmpfs", smallDisk, "tmpfs", 0, "size=32m,mode=0770"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(smallDisk, syscall.MNT_DETACH), os.RemoveAll(smallDisk)); err != nil {
			t.Error(err)
		}
	})
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("32Mi")}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: r.Namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: smallDisk}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpExists}},
			}}}},
		},
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "small-disk", Namespace: r.Namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: new(""), VolumeName: volume.Name, AccessModes: volume.Spec.AccessModes,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}
	for _, o := range []client.Object{volume, claim} {
		if err := scenario.API.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := scenario.API.Delete(context.WithoutCancel(t.Context()), volume); err != nil {
			t.Error(err)
		}
	})
	r.Spec.Output = v1alpha1.OutputSpec{ExistingClaim: claim.Name}
	r.Spec.RestartPolicy.BackoffSeconds = new(int32(2))
}

// diskFull fills the disk until the trainer has failed for it, and makes room.
func diskFull(s *trial) {
	file := filepath.Join(smallDisk, "filling")
	block := bytes.Repeat([]byte{1}, 1<<20)
	f, err := os.Create(file)
	s.Must(err)
	for err == nil {
		_, err = f.Write(block)
		if errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
	s.Must(f.Close())
	s.Eventually("a failure for the disk", scenario.Patience, func() string {
		if f := s.Stage(pretrain).LastFailure; f == nil || f.Reason != "DiskFull" {
			return "none"
		}
		return ""
	})
	s.Must(os.Remove(file))
}
