package controllers_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
)

// crafted is a run as a user writes it, with more in its spec.
func (c *cluster) crafted(spec string) *unstructured.Unstructured {
	c.Helper()
	text := `{apiVersion: training.simclr.dev/v1alpha1, kind: SimCLRRun, metadata: {name: attack}, spec: {dataset: {name: fashion-mnist}, batchSize: 256}}`
	run, more := &unstructured.Unstructured{}, map[string]any{}
	c.must(yaml.Unmarshal([]byte(text), &run.Object))
	c.must(yaml.Unmarshal([]byte(spec), &more))
	run.SetNamespace(c.namespace)
	maps.Copy(run.Object["spec"].(map[string]any), more)
	// numbers as the decoder has them
	raw, err := json.Marshal(run.Object)
	c.must(err)
	c.must(run.UnmarshalJSON(raw))
	return run
}

// What a user must not reach through a run is refused when it is applied.
func TestAttacksThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ spec, want string }{
		"a path of the node":            {`template: {volumes: [{name: x, hostPath: {path: /}}]}`, "unknown field"},
		"a mount":                       {`template: {volumeMounts: [{name: x, mountPath: /x}]}`, "unknown field"},
		"a privileged container":        {`template: {securityContext: {privileged: true}}`, "unknown field"},
		"another container":             {`template: {containers: [{name: x, image: x}]}`, "unknown field"},
		"a container before":            {`template: {initContainers: [{name: x, image: x}]}`, "unknown field"},
		"the node's network":            {`template: {hostNetwork: true}`, "unknown field"},
		"the node's processes":          {`template: {hostPID: true}`, "unknown field"},
		"a service account's token":     {`template: {automountServiceAccountToken: true}`, "unknown field"},
		"a command":                     {`template: {command: [sh]}`, "unknown field"},
		"a node of one's own choice":    {`template: {nodeName: control-plane}`, "unknown field"},
		"another runtime":               {`template: {runtimeClassName: x}`, "unknown field"},
		"another scheduler":             {`template: {schedulerName: x}`, "unknown field"},
		"another namespace's account":   {`template: {serviceAccountName: "kube-system:admin"}`, "serviceAccountName"},
		"another namespace's account /": {`template: {serviceAccountName: kube-system/admin}`, "serviceAccountName"},
		"a Secret by namespace": {
			`template: {env: [{name: X, valueFrom: {secretKeyRef: {namespace: kube-system, name: s, key: k}}}]}`, "unknown field"},
		"credentials by namespace":      {`dataset: {uri: "s3://b/x", format: IDX, credentials: {namespace: kube-system, name: s}}`, "unknown field"},
		"credentials of a path":         {`dataset: {uri: "s3://b/x", format: IDX, credentials: {name: ../../kube-system/s}}`, "credentials.name"},
		"a bundle by namespace":         {`dataset: {uri: "https://h/x", format: IDX, caBundle: {kind: Secret, namespace: kube-system, name: s, key: k}}`, "unknown field"},
		"a bundle of a path":            {`dataset: {uri: "https://h/x", format: IDX, caBundle: {kind: Secret, name: s, key: ../../k}}`, "caBundle.key"},
		"a claim's parent":              {`dataset: {uri: "pvc://data/../../etc", format: IDX}`, "'..'"},
		"a claim of a path":             {`dataset: {uri: "pvc://../etc", format: IDX}`, "uri"},
		"a file of the node":            {`dataset: {uri: "file:///etc", format: IDX}`, "uri: must be pvc://"},
		"a file of the node, evaluated": {`evaluation: {dataset: {uri: "file:///etc", format: IDX}}`, "uri: must be pvc://"},
		"an encoder's parent":           {`pretraining: {from: {uri: "pvc://data/../x"}}`, "from"},
		"another namespace's encoder":   {`pretraining: {from: {run: other/run}}`, "from.run"},
		"another namespace's claim":     {`output: {existingClaim: other/claim}`, "existingClaim"},
		"another run's label":           {`template: {labels: {training.simclr.dev/run: another}}`, "keys of training.simclr.dev/ are the operator's"},
		"another run's output":          {`template: {env: [{name: SIMCLR_OUTPUT, value: /output/another-run}]}`, "SIMCLR_… is the trainer contract's"},
		"a later attempt":               {`template: {env: [{name: SIMCLR_ATTEMPT, value: "99"}]}`, "SIMCLR_… is the trainer contract's"},
		"an image by a namespace's pull secret": {
			`template: {imagePullSecrets: [{name: s, namespace: kube-system}]}`, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			strict := client.WithFieldValidation(api, metav1.FieldValidationStrict)
			err := strict.Create(t.Context(), c.crafted(tc.spec))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("applied: %v; want %q", err, tc.want)
			}
		})
	}
}

// What a client that asks for no validation gets through is dropped by the API server, and what the template may
// say changes neither the pod's isolation nor what the operator relies on. The namespace keeps the restricted standard, so
// the pod could not be made otherwise.
func TestAttacksThatHaveNoEffect(t *testing.T) {
	c := newCluster(t)
	lax := client.WithFieldValidation(api, metav1.FieldValidationIgnore)
	crafted := c.crafted(`template:
  hostNetwork: true
  hostPID: true
  nodeName: control-plane
  automountServiceAccountToken: true
  securityContext: {privileged: true}
  volumes: [{name: root, hostPath: {path: /}}]
  containers: [{name: x, image: x}]
  serviceAccountName: powerful
  labels: {app.kubernetes.io/name: another}
`)
	c.must(lax.Create(t.Context(), crafted))
	run := &v1alpha1.SimCLRRun{}
	c.must(api.Get(t.Context(), client.ObjectKeyFromObject(crafted), run))
	job := c.job(run, "pretrain", 1)
	pod := c.runs(job)
	checkIsolation(t, job)
	if pod.Labels[controllers.LabelRun] != "attack" || pod.Labels[controllers.LabelStage] != "pretrain" {
		t.Errorf("labels %v", pod.Labels)
	}
}

func checkIsolation(t *testing.T, job *batchv1.Job) {
	t.Helper()
	spec := job.Spec.Template.Spec
	if spec.HostNetwork || spec.HostPID || spec.HostIPC || spec.NodeName != "" {
		t.Errorf("the pod is in the node's namespaces, or chose its node: %+v", spec)
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("a token is mounted")
	}
	if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 || len(spec.EphemeralContainers) != 0 {
		t.Errorf("containers besides the trainer: %+v", spec)
	}
	for _, v := range spec.Volumes {
		if v.ConfigMap == nil && v.EmptyDir == nil && v.PersistentVolumeClaim == nil {
			t.Errorf("volume %+v", v)
		}
	}
	own := spec.Containers[0].SecurityContext
	if own.Privileged != nil || *own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem || len(own.Capabilities.Add) > 0 ||
		own.Capabilities.Drop[0] != "ALL" || !*spec.SecurityContext.RunAsNonRoot ||
		spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security contexts %+v, %+v", spec.SecurityContext, own)
	}
}
