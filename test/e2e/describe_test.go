//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// explained is something that keeps a run from training, and what kubectl describe then says: what is wrong, and what to do.
type explained struct {
	change  func(*v1alpha1.SimCLRRun)
	prepare func(*trial) // while the run is suspended
	want    []string
}

var failures = map[string]explained{
	"more processors than any node": {
		change: template(func(p *v1alpha1.PodTemplate) { p.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1000") }),
		want:   []string{"Insufficient cpu", "template (resources, nodeSelector, affinity, tolerations)"},
	},
	"a GPU where there is none": {
		change: func(r *v1alpha1.SimCLRRun) { r.Spec.Accelerator.Type = v1alpha1.NvidiaGPU },
		want:   []string{"Insufficient nvidia.com/gpu", "a node has what accelerator and template"},
	},
	"nodes that do not exist": {
		change: template(func(p *v1alpha1.PodTemplate) { p.NodeSelector = map[string]string{"disk": "fast"} }),
		want:   []string{"didn't match Pod's node affinity/selector", "nodeSelector"},
	},
	"a storage class that does not exist": {
		change: func(r *v1alpha1.SimCLRRun) { r.Spec.Output.Claim.StorageClassName = new("nothing") },
		want:   []string{"PersistentVolumeClaim small-output", `"nothing" not found`, "output.claim.storageClassName"},
	},
	"an image's name that is none": {
		change: template(func(p *v1alpha1.PodTemplate) { p.Image = "Registry.invalid/IMAGE:1:2" }),
		want:   []string{"InvalidImageName", "correct template.image"},
	},
	"an image without a trainer": {
		change: template(func(p *v1alpha1.PodTemplate) { p.Image = "simclr.local/pause:dev" }),
		want:   []string{`"simclr-trainer"`, "not found", "suspend the run, correct spec.template, resume"},
	},
	"a dataset's claim that does not exist": {
		change: func(r *v1alpha1.SimCLRRun) {
			r.Spec.Dataset = v1alpha1.DatasetSpec{URI: "pvc://nothing/x", Format: v1alpha1.FormatImageFolder}
		},
		want: []string{"dataset.uri", "there is no PersistentVolumeClaim nothing", "create it"},
	},
	"an output claim that does not exist": {
		change: func(r *v1alpha1.SimCLRRun) { r.Spec.Output = v1alpha1.OutputSpec{ExistingClaim: "nothing"} },
		want:   []string{"output.existingClaim", "there is no PersistentVolumeClaim nothing", "create it"},
	},
	"credentials that do not exist": {
		change: func(r *v1alpha1.SimCLRRun) {
			r.Spec.Dataset = bucket()
			r.Spec.Dataset.Credentials = &v1alpha1.SecretReference{Name: "nothing"}
		},
		want: []string{`secret "nothing" not found`, "create the Secret that dataset.credentials names"},
	},
	"certificates that do not exist": {
		change: func(r *v1alpha1.SimCLRRun) {
			r.Spec.Dataset = bucket()
			r.Spec.Dataset.CABundle = &v1alpha1.CABundleReference{Kind: v1alpha1.BundleConfigMap, Name: "nothing"}
		},
		want: []string{`configmap "nothing" not found`, "create what dataset.caBundle names"},
	},
	"a bucket that nobody serves": {
		change: func(r *v1alpha1.SimCLRRun) { r.Spec.Dataset = bucket() },
		want:   []string{"TrainerWarning", "storage of the dataset: s3://nothing/x", "connection refused", "trying again"},
	},
	"a variable's Secret that does not exist": {
		change: template(func(p *v1alpha1.PodTemplate) {
			p.Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "nothing"}, Key: "k"}}}}
		}),
		want: []string{`secret "nothing" not found`, "correct template.env"},
	},
	"a service account that does not exist": {
		change: template(func(p *v1alpha1.PodTemplate) { p.ServiceAccountName = "nobody" }),
		want:   []string{`serviceaccount "nobody" not found`, "correct template.serviceAccountName"},
	},
	"a priority class that does not exist": {
		change: template(func(p *v1alpha1.PodTemplate) { p.PriorityClassName = "nothing" }),
		want:   []string{"no PriorityClass with name nothing", "correct template.priorityClassName"},
	},
	"more requested than its limit": {
		change: template(func(p *v1alpha1.PodTemplate) {
			p.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Mi")}
		}),
		want: []string{"must be less than or equal to memory limit", "suspend the run and correct spec.template"},
	},
	"a quota of pods": {
		prepare: quota(corev1.ResourcePods),
		want:    []string{"exceeded quota", "pods=1", "ResourceQuota has room"},
	},
	"a quota of Jobs": {
		prepare: quota("count/jobs.batch"),
		want:    []string{"exceeded quota", "ResourceQuota has room"},
	},
	"a quota of storage": {
		prepare: quota(corev1.ResourceRequestsStorage),
		want:    []string{"exceeded quota", "output.claim.size"},
	},
	"a policy": {
		prepare: refusePods,
		want:    []string{"pods need a cost centre", "a policy of the cluster or the namespace refuses the pod"},
	},
	"a deadline": {
		change: func(r *v1alpha1.SimCLRRun) { r.Spec.ActiveDeadlineSeconds = new(int32(1)) },
		want:   []string{"DeadlineExceeded", "activeDeadlineSeconds", "make a new run with more"},
	},
	"too little memory": {
		change: template(func(p *v1alpha1.PodTemplate) {
			p.Resources.Requests[corev1.ResourceMemory] = resource.MustParse("40Mi")
			p.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("40Mi")}
		}),
		want: []string{"OutOfMemory", "give the worker more (template.resources)"},
	},
}

// kubectl describe alone tells a person what is wrong with a run and what to do, in a condition or an event. Nothing of it is charged.
func TestDescribeExplains(t *testing.T) {
	runs := map[string]*trial{}
	for name, f := range failures {
		s := start(t, scenario.PretrainOnly, scenario.Suspended(true), func(r *v1alpha1.SimCLRRun) {
			r.Spec.Template.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{ // for all to fit at once
				corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("64Mi")}}
			if f.change != nil {
				f.change(r)
			}
		})
		if f.prepare != nil {
			f.prepare(s)
		}
		s.Edit(scenario.Suspended(false))
		runs[name] = s
	}
	for name, f := range failures {
		t.Run(name, func(t *testing.T) {
			s := &trial{&scenario.Scenario{T: t, Run: runs[name].Run}}
			s.Eventually("explanation", 90*time.Second, func() string {
				out, err := s.Kubectl("-n", s.Run.Namespace, "describe", "simclrrun", s.Run.Name).CombinedOutput()
				s.Must(err)
				said := unspecified(string(out))
				if !scenario.ContainsAll(said, f.want) {
					return said
				}
				return ""
			})
			if n := s.Get().Status.Restarts; n != 0 {
				t.Errorf("%d restarts were charged", n)
			}
		})
	}
}

// unspecified is what kubectl describe says without the spec, in which a person reads what they wrote.
func unspecified(said string) string {
	_, said, _ = strings.Cut(said, "\nStatus:\n") // after the spec
	return strings.Join(strings.Fields(said), " ")
}

func template(change func(*v1alpha1.PodTemplate)) func(*v1alpha1.SimCLRRun) {
	return func(r *v1alpha1.SimCLRRun) { change(&r.Spec.Template) }
}

// bucket of a server that is not there.
func bucket() v1alpha1.DatasetSpec {
	return v1alpha1.DatasetSpec{
		URI: "s3://nothing/x", Endpoint: "https://10.231.0.1:1", Format: v1alpha1.FormatImageFolder, ImageSize: new(int32(32)),
	}
}

func quota(name corev1.ResourceName) func(*trial) {
	return func(s *trial) {
		create(s.T, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: s.Run.Namespace},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{name: resource.MustParse("0")}},
		})
	}
}

// refusePods of the run's namespace.
func refusePods(s *trial) {
	name := metav1.ObjectMeta{Name: s.Run.Namespace}
	create(s.T, &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods", "services"}}},
		}}},
		Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "pods need a cost centre"}},
	}})
	create(s.T, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: name.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{corev1.LabelMetadataName: s.Run.Namespace}}},
	}})
	// The API server evaluates a policy some moments after it was made.
	s.Eventually("the policy", time.Minute, func() string {
		out, err := s.Kubectl("-n", s.Run.Namespace, "create", "service", "clusterip", "probe", "--tcp=80", "--dry-run=server").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "cost centre") {
			return string(out)
		}
		return ""
	})
}
