package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// TestDefaults compares the schema's defaults with those of v1alpha1.SetDefaults.
func TestDefaults(t *testing.T) {
	const spec = `
spec:
  evaluation: {dataset: {name: cifar-10}}
  finetuning: [{name: few, labelFraction: "0.01"}]
`
	run := patched(t, minimal, spec+"metadata: {name: defaulted}")
	want := &v1alpha1.SimCLRRun{}
	text, err := json.Marshal(run.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, want); err != nil {
		t.Fatal(err)
	}
	got := want.DeepCopy()
	if err := server.Create(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(run.Object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	v1alpha1.SetDefaults(want)
	if d := cmp.Diff(want.Spec, got.Spec); d != "" {
		t.Errorf("SetDefaults (-) and the API server (+): %s", d)
	}
}

func TestDiscovery(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list.APIResources {
		if r.Name != "simclrruns" {
			continue
		}
		got := []string{r.SingularName, strings.Join(r.ShortNames, ","), strings.Join(r.Categories, ",")}
		if d := cmp.Diff([]string{"simclrrun", "scr", "simclr"}, got); d != "" {
			t.Error(d)
		}
		return
	}
	t.Error("simclrruns are not served")
}

// TestColumns asks for a table, as kubectl get does.
func TestColumns(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	text, err := client.RESTClient().Get().AbsPath("/apis/training.simclr.dev/v1alpha1/namespaces/default/simclrruns").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	columns := map[int32][]string{}
	for _, c := range table.ColumnDefinitions {
		columns[c.Priority] = append(columns[c.Priority], c.Name)
	}
	want := map[int32][]string{
		0: {"Name", "Stage", "Progress", "Loss", "kNN", "Linear", "ETA", "Restarts", "Age"},
		1: {"Accelerator", "Workers", "Images/s", "Message"},
	}
	if d := cmp.Diff(want, columns); d != "" {
		t.Error(d)
	}
}
