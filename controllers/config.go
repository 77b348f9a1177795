package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// runKey of the ConfigMap is the file that the trainer reads.
	runKey = "run.yaml"
	// annotationInputs of the ConfigMap is the digest of the fields that may change while a run is
	// suspended, as the user gave them. Only when they differ is a new ConfigMap made: an operator
	// upgrade with other defaults changes nothing in a run that has started.
	annotationInputs = "training.simclr.dev/inputs"
)

// fixConfig makes s.config: the resolved run, fixed at its first stage, as the trainer reads it.
func (r *Reconciler) fixConfig(ctx context.Context, s *scope) error {
	if s.run.Status.ConfigHash == "" {
		fixed, err := r.resolve(ctx, s)
		if err != nil {
			return err
		}
		return r.useConfig(ctx, s, fixed)
	}
	stored, err := r.storedConfig(ctx, s)
	if err != nil {
		return err
	}
	if s.config, err = r.configs.get(client.ObjectKeyFromObject(s.run), s.run.Status.ConfigHash, stored.Data[runKey]); err != nil {
		return failf(reasonConfigLost, "ConfigMap %s: %v", stored.Name, err)
	}
	if stored.Annotations[annotationInputs] == inputsOf(s.run) {
		return nil
	}
	fixed, err := r.adopt(s)
	if !s.runsWith(fixed) {
		return r.stopForChange(ctx, s)
	}
	if err != nil {
		return err
	}
	s.tell("ConfigChanged", "accelerator, workers or template have changed: the next attempt uses a new ConfigMap")
	return r.useConfig(ctx, s, fixed)
}

// runsWith says whether all that still runs, if anything does, was made with a configuration: the cache may
// have the status from before an attempt that this operator made with what the user has changed.
func (s *scope) runsWith(config *v1alpha1.SimCLRRun) bool {
	text, err := marshalConfig(config)
	hash := hashOf(text)
	return !slices.ContainsFunc(s.attempts, func(a attempt) bool {
		return !a.over() && (err != nil || a.object.GetAnnotations()[annotationConfigHash] != hash)
	})
}

// stopForChange stops what runs with older accelerator, workers or template: the run was suspended, edited and
// resumed before the operator looked. Where it has looked at this spec before, the user changed nothing:
// an operator's upgrade has brought other schema defaults, which are not for a run that has started.
func (r *Reconciler) stopForChange(ctx context.Context, s *scope) error {
	st := s.current()
	if st == nil || s.before.Status.ObservedGeneration == s.run.Generation {
		return nil
	}
	if _, err := r.stopWorkloads(ctx, s); err != nil {
		s.run.Status.ObservedGeneration = s.before.Status.ObservedGeneration // look at it again
		return err
	}
	st.State = v1alpha1.StageSuspended
	s.stopping(st)
	return errStop
}

// resolve is the run with every default, the encoder's source found, and image and threads fixed.
func (r *Reconciler) resolve(ctx context.Context, s *scope) (*v1alpha1.SimCLRRun, error) {
	run := s.run.DeepCopy()
	if err := r.resolveSource(ctx, run); err != nil {
		return nil, err
	}
	resolved, err := v1alpha1.Resolve(run)
	if err != nil {
		return nil, failf(reasonInvalidSpec, "%v", err)
	}
	image := s.run.Status.Image
	if image == "" {
		image = r.imageFor(&resolved.Spec)
	}
	return fixed(resolved, image, orVersion(s.run.Status.ContractVersion))
}

// adopt is the fixed run with the accelerator, the workers and the template that the user has changed since.
func (r *Reconciler) adopt(s *scope) (*v1alpha1.SimCLRRun, error) {
	resolved, err := v1alpha1.Resolve(s.run)
	if err != nil {
		return nil, blockf(reasonInvalidSpec, "%v", err)
	}
	image, old := s.run.Status.Image, &s.config.Spec
	if resolved.Spec.Template.Image != old.Template.Image || resolved.Spec.Accelerator.Type != old.Accelerator.Type {
		image = r.imageFor(&resolved.Spec)
	}
	changed := s.config.DeepCopy()
	changed.Spec.Accelerator, changed.Spec.Template, changed.Spec.Workers = resolved.Spec.Accelerator, resolved.Spec.Template, resolved.Spec.Workers
	return fixed(changed, image, s.config.Status.ContractVersion)
}

func fixed(run *v1alpha1.SimCLRRun, image string, version int32) (*v1alpha1.SimCLRRun, error) {
	where, err := place(run.Spec.Accelerator)
	if err != nil {
		return nil, blockf(reasonInvalidSpec, "%v", err)
	}
	f := &v1alpha1.SimCLRRun{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SimCLRRun"},
		ObjectMeta: metav1.ObjectMeta{Name: run.Name, Namespace: run.Namespace, UID: run.UID},
		Spec:       *run.Spec.DeepCopy(),
	}
	resources := containerResources(&f.Spec, where.devices)
	f.Spec.Suspend = nil
	f.Spec.ProgressDeadlineSeconds, f.Spec.ActiveDeadlineSeconds, f.Spec.TTLSecondsAfterFinished = nil, nil, nil // may change
	f.Spec.Template.Resources = &resources
	if where.perHost > 0 {
		f.Spec.Accelerator.DevicesPerWorker = &where.perHost
	}
	workers := where.hosts
	if f.Spec.Workers != nil {
		workers = *f.Spec.Workers
	}
	f.Status = v1alpha1.SimCLRRunStatus{Image: image, Threads: threadsOf(resources), ContractVersion: version, Workers: workers}
	return f, nil
}

// storedConfig is the ConfigMap of the status' hash, made again where it is gone.
func (r *Reconciler) storedConfig(ctx context.Context, s *scope) (*corev1.ConfigMap, error) {
	hash := s.run.Status.ConfigHash
	name := ConfigMapName(s.run.Name, hash)
	var stored corev1.ConfigMap
	err := r.Get(ctx, client.ObjectKey{Namespace: s.run.Namespace, Name: name}, &stored)
	if err == nil {
		if hashOf(stored.Data[runKey]) != hash {
			return nil, failf(reasonConfigLost, "ConfigMap %s was replaced by one with other content", name)
		}
		return &stored, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	again, err := r.resolve(ctx, s)
	if err != nil {
		return nil, err
	}
	text, err := marshalConfig(again)
	if err != nil {
		return nil, err
	}
	if hashOf(text) != hash {
		return nil, failf(reasonConfigLost, "ConfigMap %s was deleted and this operator resolves the run otherwise: make a new run", name)
	}
	stored = corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{annotationInputs: inputsOf(s.run)}},
		Data:       map[string]string{runKey: text},
	}
	return &stored, r.applyConfig(ctx, s, hash, text)
}

// useConfig makes a configuration the run's.
func (r *Reconciler) useConfig(ctx context.Context, s *scope, config *v1alpha1.SimCLRRun) error {
	text, err := marshalConfig(config)
	if err != nil {
		return err
	}
	hash := hashOf(text)
	if err := r.applyConfig(ctx, s, hash, text); err != nil {
		return err
	}
	s.config = config
	st := &s.run.Status
	st.ConfigHash, st.Image, st.Threads, st.ContractVersion, st.Workers =
		hash, config.Status.Image, config.Status.Threads, config.Status.ContractVersion, config.Status.Workers
	return nil
}

func (r *Reconciler) applyConfig(ctx context.Context, s *scope, hash, text string) error {
	object := corev1ac.ConfigMap(ConfigMapName(s.run.Name, hash), s.run.Namespace).
		WithLabels(runLabels(s.run)).
		WithAnnotations(map[string]string{annotationInputs: inputsOf(s.run)}).
		WithOwnerReferences(ownerReference(s.run)).
		WithImmutable(true).
		WithData(map[string]string{runKey: text})
	return r.make(ctx, object, &corev1.ConfigMap{})
}

func ownerReference(run *v1alpha1.SimCLRRun) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("SimCLRRun").
		WithName(run.Name).WithUID(run.UID).WithController(true).WithBlockOwnerDeletion(true)
}

func marshalConfig(run *v1alpha1.SimCLRRun) (string, error) {
	text, err := yaml.Marshal(run)
	return string(text), err
}

func parseConfig(text string) (*v1alpha1.SimCLRRun, error) {
	var run v1alpha1.SimCLRRun
	if err := yaml.Unmarshal([]byte(text), &run); err != nil {
		return nil, fmt.Errorf("%s: %w", runKey, err)
	}
	return &run, nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// inputsOf is the digest of what a user may change while a run is suspended.
func inputsOf(run *v1alpha1.SimCLRRun) string {
	inputs := []any{run.Spec.Accelerator, run.Spec.Template}
	if run.Spec.Workers != nil { // a run of an older operator has none
		inputs = append(inputs, run.Spec.Workers)
	}
	text, err := json.Marshal(inputs)
	if err != nil {
		panic(err) // plain structs of the API always marshal
	}
	return hashOf(string(text))
}

func (r *Reconciler) imageFor(spec *v1alpha1.SimCLRRunSpec) string {
	if spec.Template.Image != "" {
		return spec.Template.Image
	}
	return r.Images[spec.Accelerator.Type]
}

func orVersion(version int32) int32 {
	if version == 0 {
		return contract.Version
	}
	return version
}
