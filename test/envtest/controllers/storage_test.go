package controllers_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func (c *cluster) claim(name string) *corev1.PersistentVolumeClaim {
	c.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	c.must(api.Create(c.Context(), claim))
	return claim
}

func TestRetention(t *testing.T) {
	for name, tc := range map[string]struct {
		retention v1alpha1.ClaimRetention
		wantOwned bool
	}{
		"Retain": {v1alpha1.ClaimRetain, false},
		"Delete": {v1alpha1.ClaimDelete, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			run := c.create(wrap.MakeRun(c.namespace, "kept").Retention(tc.retention))
			job := c.job(run, "pretrain", 1)
			var claim corev1.PersistentVolumeClaim
			c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: "kept-output"}, &claim))
			if got := metav1.IsControlledBy(&claim, run); got != tc.wantOwned {
				t.Errorf("claim owned by the run: %v, want %v", got, tc.wantOwned)
			}
			if !metav1.IsControlledBy(job, run) {
				t.Error("the Job is not owned by the run: deleting the run would leave it")
			}
		})
	}
}

func TestDatasetClaim(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "folder").DatasetURI("pvc://images/cifar", v1alpha1.FormatImageFolder))
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "DatasetClaimNotFound", "images", "create it")
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, "DatasetClaimNotFound")
	c.claim("images")
	c.pass(run, 0)
	job := c.job(run, "pretrain", 1)
	mounts := job.Spec.Template.Spec.Containers[0].VolumeMounts
	last := mounts[len(mounts)-1]
	if last.MountPath != "/data/images" || !last.ReadOnly {
		t.Errorf("mount %+v", last)
	}
}

func TestExistingClaim(t *testing.T) {
	c := newCluster(t)
	w := wrap.MakeRun(c.namespace, "mine")
	w.Spec.Output.ExistingClaim = "archive"
	run := c.create(w)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "OutputClaimNotFound", "archive")
	c.claim("archive")
	c.pass(run, 0)
	c.job(run, "pretrain", 1)
}

func TestEncoderOfAnotherRun(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "second").FromRun("first").LinearEvaluation())
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "EncoderSourceNotFound", "first")
	first := c.create(wrap.MakeRun(c.namespace, "first"))
	job := c.job(first, "pretrain", 1)
	c.pass(run, 0)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "EncoderSourceNotReady", "first")
	c.succeeds(job, "pretrain", pretrainResult)
	c.condition(first, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	c.gone(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "first-output"}})
	c.pass(run, 0)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "DatasetClaimNotFound", "pretraining.from.run", "first-output")
	c.claim("first-output")
	c.pass(run, 0)
	taken := c.job(run, "pretrain", 1)
	found := false
	for _, m := range taken.Spec.Template.Spec.Containers[0].VolumeMounts {
		found = found || (m.MountPath == "/data/first-output" && m.ReadOnly)
	}
	if !found {
		t.Error("the output claim of the other run is not mounted")
	}
}

// A run that is deleted and applied again finds what the garbage collector has not reached yet.
func TestClaimOfADeletedRunOfThisName(t *testing.T) {
	c := newCluster(t)
	first := c.create(wrap.MakeRun(c.namespace, "again").Retention(v1alpha1.ClaimDelete))
	job := c.job(first, "pretrain", 1)
	c.must(api.Delete(t.Context(), first))
	second := c.create(wrap.MakeRun(c.namespace, "again").Retention(v1alpha1.ClaimDelete))
	c.condition(second, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "OutputClaimNotFound", "deleted run of this name")
	c.condition(second, v1alpha1.ConditionStalled, metav1.ConditionFalse, "OutputClaimNotFound")
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "again-output"}}
	c.gone(claim)
	c.pass(second, 0)
	c.condition(second, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Stopping", "NetworkPolicy again-trainers")
	c.gone(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "again-trainers"}})
	c.pass(second, 0)
	c.condition(second, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Stopping", "Job "+job.Name)
	c.condition(second, v1alpha1.ConditionStalled, metav1.ConditionFalse, "Stopping")
	c.gone(job)
	c.pass(second, 0)
	if again := c.job(second, "pretrain", 1); !metav1.IsControlledBy(again, second) {
		t.Errorf("the Job is of %v", again.OwnerReferences)
	}
}

func TestJobOfAnotherRun(t *testing.T) {
	c := newCluster(t)
	first := c.create(wrap.MakeRun(c.namespace, "a").Finetuning("b-c", "1"))
	c.succeeds(c.job(first, "pretrain", 1), "pretrain", pretrainResult)
	c.job(first, "b-c", 1)
	second := c.create(wrap.MakeRun(c.namespace, "a-b").Finetuning("c", "1"))
	c.succeeds(c.job(second, "pretrain", 1), "pretrain", pretrainResult)
	c.condition(second, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "NameTaken", "a-b-c-1 belongs to SimCLRRun a:")
}

func TestJobOfSomebodyElse(t *testing.T) {
	c := newCluster(t)
	run := wrap.MakeRun(c.namespace, "taken")
	c.must(api.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "taken-pretrain-1"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "x", Image: "x"}},
		}}},
	}))
	c.condition(c.create(run), v1alpha1.ConditionProgressing, metav1.ConditionFalse, "NameTaken", "taken-pretrain-1")
}

// A claim that a pod uses stays until the pod is gone, so the run is followed to its end.
func TestClaimDeletedWhileItIsUsed(t *testing.T) {
	c := newCluster(t)
	claim := c.claim("images")
	claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
	c.must(api.Update(t.Context(), claim))
	run := c.create(wrap.MakeRun(c.namespace, "reader").LinearEvaluation().DatasetURI("pvc://images", v1alpha1.FormatImageFolder))
	job := c.job(run, "pretrain", 1)
	c.must(api.Delete(t.Context(), claim))
	pod := c.runs(job)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionFalse, "AsExpected")
	m := pretrainResult
	m.Stage = "pretrain"
	c.exits(pod, 0, wrap.Message(m))
	c.ends(job, batchv1.JobComplete)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "DatasetClaimNotFound", "being deleted")
	if st := c.get(run).Status.Stages[0]; st.State != v1alpha1.StageComplete {
		t.Errorf("stage %+v", st)
	}
}
