package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/yaml"
)

// What the peers are given is one Job of one pod, as the operator's is.
func TestPeersObjects(t *testing.T) {
	made := func(of func(string) (client.Object, error)) map[string]any {
		t.Helper()
		o, err := of("r0-pretrain-1")
		if err != nil {
			t.Fatal(err)
		}
		if o.GetName() != "r0-pretrain-1" || o.GetNamespace() != "ns" {
			t.Errorf("%s/%s", o.GetNamespace(), o.GetName())
		}
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		return fields
	}
	var set jobset.JobSet
	fields := made(jobSetOf("ns"))
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &set); err != nil {
		t.Fatal(err)
	}
	if set.Kind != "JobSet" || set.APIVersion != jobset.SchemeGroupVersion.String() || len(set.Spec.ReplicatedJobs) != 1 {
		t.Fatalf("%+v", set)
	}
	job := set.Spec.ReplicatedJobs[0].Template.Spec
	if *job.BackoffLimit != 0 || job.Template.Spec.RestartPolicy != "Never" || len(job.Template.Spec.Containers) != 1 || job.Parallelism != nil {
		t.Errorf("Job %+v", job)
	}
	want := map[string]any{"runtimeRef": map[string]any{"name": "torch-distributed"}}
	if diff := cmp.Diff(want, made(trainJobOf("ns"))["spec"]); diff != "" {
		t.Errorf("TrainJob (-want +got):\n%s", diff)
	}
	labelled := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "r0-pretrain-1-node-0", Labels: map[string]string{jobset.JobSetNameKey: "r0-pretrain-1"}}}
	if got := setKey(labelled); got != "r0-pretrain-1" {
		t.Errorf("key %q", got)
	}
}

func TestPeersConfigurations(t *testing.T) {
	for name, p := range map[string]*peer{"jobset": &jobSetPeer, "trainer": &trainerPeer} {
		text := p.configuration(9443, "/certs", "127.0.0.1:8081")
		if strings.Contains(text, "%!") {
			t.Errorf("%s: %s", name, text)
		}
		var config struct {
			Webhook struct {
				Port int    `json:"port"`
				Host string `json:"host"`
			} `json:"webhook"`
			Health           struct{ HealthProbeBindAddress string } `json:"health"`
			ClientConnection struct{ QPS, Burst int }                `json:"clientConnection"`
		}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if config.Webhook.Port != 9443 || config.Webhook.Host != "127.0.0.1" || config.Health.HealthProbeBindAddress != "127.0.0.1:8081" ||
			config.ClientConnection.QPS != qps || config.ClientConnection.Burst != qps {
			t.Errorf("%s: %+v", name, config)
		}
		if _, err := os.Stat("../../tools/" + p.tool + "/go.mod"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
