package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// storage names the output claim.
func (r *Reconciler) storage(_ context.Context, s *scope) error {
	s.run.Status.OutputClaim = ClaimName(s.run.Name)
	if existing := s.config.Spec.Output.ExistingClaim; existing != "" {
		s.run.Status.OutputClaim = existing
	}
	return nil
}

// claimsFor a new attempt: makes or finds the output claim and finds those that datasets are on. An attempt that runs keeps
// its claims until its pod is gone, so that nothing is asked of the API server while it does.
func (r *Reconciler) claimsFor(ctx context.Context, s *scope) error {
	if err := r.outputClaim(ctx, s); err != nil {
		return err
	}
	s.claims = nil
	for _, c := range s.datasetClaims() {
		if err := r.needClaim(ctx, s, c.name, reasonDatasetClaimNotFound, c.field, corev1.ReadWriteMany, corev1.ReadOnlyMany); err != nil {
			return err
		}
		s.claims = append(s.claims, c.name)
	}
	return nil
}

// outputClaim is not asked for where a stage has just ended well on it, since the next one waits for nothing else: of one that was
// deleted at that moment the next pod's wait tells.
func (r *Reconciler) outputClaim(ctx context.Context, s *scope) error {
	output := &s.config.Spec.Output
	switch {
	case s.hadOutput:
		return nil
	case output.ExistingClaim != "":
		return r.needClaim(ctx, s, output.ExistingClaim, reasonOutputClaimNotFound, "output.existingClaim", corev1.ReadWriteMany)
	}
	return r.makeClaim(ctx, s, output.Claim)
}

// namedClaim is a claim and the field that names it first.
type namedClaim struct{ field, name string }

// datasetClaims are those that the run reads from.
func (s *scope) datasetClaims() []namedClaim {
	spec := &s.config.Spec
	uris := []struct{ field, uri string }{{"dataset.uri", spec.Dataset.URI}}
	if spec.Evaluation != nil {
		uris = append(uris, struct{ field, uri string }{"evaluation.dataset.uri", spec.Evaluation.Dataset.URI})
	}
	if spec.Pretraining.From != nil {
		field := "pretraining.from.uri"
		if from := s.run.Spec.Pretraining.From; from != nil && from.Run != "" {
			field = "pretraining.from.run"
		}
		uris = append(uris, struct{ field, uri string }{field, spec.Pretraining.From.URI})
	}
	var claims []namedClaim
	for _, u := range uris {
		name := claimOf(u.uri)
		if name != "" && !slices.ContainsFunc(claims, func(c namedClaim) bool { return c.name == name }) {
			claims = append(claims, namedClaim{u.field, name})
		}
	}
	return claims
}

// needClaim says what is wrong with a claim. One of shared is what several workers need of it.
func (r *Reconciler) needClaim(ctx context.Context, s *scope, name, reason, field string, shared ...corev1.PersistentVolumeAccessMode) error {
	claim, err := r.claim(ctx, s, name)
	switch {
	case err != nil:
		return err
	case claim == nil:
		return blockf(reason, "%s: there is no PersistentVolumeClaim %s in namespace %s: create it", field, name, s.run.Namespace)
	case claim.DeletionTimestamp != nil:
		return blockf(reason, "%s: PersistentVolumeClaim %s is being deleted: create it again", field, name)
	}
	return s.needShared(claim, field, shared...)
}

// needShared says where a claim cannot be mounted by workers on several nodes.
func (s *scope) needShared(claim *corev1.PersistentVolumeClaim, field string, modes ...corev1.PersistentVolumeAccessMode) error {
	if s.config.Status.Workers <= 1 || slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool {
		return slices.Contains(claim.Spec.AccessModes, m)
	}) {
		return nil
	}
	return blockf(reasonClaimNotShared, "%s: %d workers need a claim of access mode %s, since they may be on several nodes, and PersistentVolumeClaim %s has %v: make a new run with one that has it, or suspend the run and set workers to 1",
		field, s.config.Status.Workers, modes[0], claim.Name, claim.Spec.AccessModes)
}

// claim reads past the cache: the operator watches no claims, it may only get them by name.
func (r *Reconciler) claim(ctx context.Context, s *scope, name string) (*corev1.PersistentVolumeClaim, error) {
	var claim corev1.PersistentVolumeClaim
	err := r.APIReader.Get(ctx, client.ObjectKey{Namespace: s.run.Namespace, Name: name}, &claim)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return &claim, err
}

// makeClaim makes the output claim where it is missing. One that an older run of this name left
// (retention Retain) is used as it is and keeps its owner: this run's files are in a directory of their own.
func (r *Reconciler) makeClaim(ctx context.Context, s *scope, spec *v1alpha1.ClaimSpec) error {
	name := ClaimName(s.run.Name)
	claim, err := r.claim(ctx, s, name)
	switch {
	case err != nil:
		return err
	case claim == nil:
		return r.createClaim(ctx, s, name, spec)
	case claim.Labels[labelManagedBy] != FieldManager:
		return blockf(reasonNameTaken, "PersistentVolumeClaim %s exists and is not simclr-operator's: delete it, or make a new run with output.existingClaim: %s", name, name)
	case claim.DeletionTimestamp != nil:
		return waitf(reasonOutputClaimNotFound, "PersistentVolumeClaim %s is being deleted", name)
	case ofOlderRun(claim, s.run):
		return waitf(reasonOutputClaimNotFound, "PersistentVolumeClaim %s goes with the deleted run of this name that it belongs to", name)
	}
	return s.needShared(claim, "output.claim.accessMode", corev1.ReadWriteMany)
}

func (r *Reconciler) createClaim(ctx context.Context, s *scope, name string, spec *v1alpha1.ClaimSpec) error {
	mode := corev1.PersistentVolumeAccessMode(spec.AccessMode)
	if mode == "" {
		mode = corev1.ReadWriteOnce
		if s.config.Status.Workers > 1 {
			mode = corev1.ReadWriteMany
		}
	}
	want := corev1ac.PersistentVolumeClaimSpec().
		WithAccessModes(mode).
		WithResources(corev1ac.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: *spec.Size}))
	if spec.StorageClassName != nil {
		want = want.WithStorageClassName(*spec.StorageClassName)
	}
	object := corev1ac.PersistentVolumeClaim(name, s.run.Namespace).WithLabels(runLabels(s.run)).WithSpec(want)
	if spec.Retention == v1alpha1.ClaimDelete {
		object = object.WithOwnerReferences(ownerReference(s.run))
	}
	return r.create(ctx, object, &corev1.PersistentVolumeClaim{})
}

// claimEvents say why a claim is not bound: of the volume controller, and of a provisioner outside of Kubernetes.
var claimEvents = []eventReason{
	{"ProvisioningFailed", reasonUnschedulable},
	{"FailedBinding", reasonUnschedulable},
	{"VolumeMismatch", reasonUnschedulable},
	{"ExternalProvisioning", reasonUnschedulable},
}

// claimsWaiting adds to the scheduler's words why a claim of the run is not bound, which only its events tell.
func (r *Reconciler) claimsWaiting(ctx context.Context, s *scope, why *waiting) error {
	if !why.unfit || !strings.Contains(why.message, "unbound immediate PersistentVolumeClaim") {
		return nil
	}
	names := []string{s.run.Status.OutputClaim, claimOf(s.config.Spec.Dataset.URI)}
	if e := s.config.Spec.Evaluation; e != nil {
		names = append(names, claimOf(e.Dataset.URI))
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		claim, err := r.claim(ctx, s, name)
		if err != nil {
			return err
		}
		if claim == nil || claim.Status.Phase == corev1.ClaimBound {
			continue
		}
		_, text, err := r.lastEvent(ctx, s, claim.UID, claimEvents...)
		if err != nil {
			return err
		}
		why.message += "; PersistentVolumeClaim " + claim.Name + ": " + orElse(text, "not bound, and no event says why")
	}
	return nil
}
