package api_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	fixed         = ": may not change; make a new run"
	onlySuspended = ": may change only while the run is suspended; set suspend to true first"
)

// changes are of a run that is not suspended.
var changes = map[string]struct{ change, want string }{
	"dataset":          {data(`limit: 512`), "dataset" + fixed},
	"evaluation":       {in(`evaluation: {dataset: {name: fashion-mnist}}`), "evaluation" + fixed},
	"augmentations":    {in(`augmentations: {}`), "augmentations" + fixed},
	"encoder":          {in(`encoder: {depth: 34}`), "encoder" + fixed},
	"projectionHead":   {in(`projectionHead: {dimension: 64}`), "projectionHead" + fixed},
	"batchSize":        {in(`batchSize: 128`), "batchSize" + fixed},
	"pretraining":      {pre(`epochs: 1`), "pretraining" + fixed},
	"knn":              {in(`knn: {neighbors: 5}`), "knn" + fixed},
	"linearEvaluation": {in(`linearEvaluation: {mode: Disabled}`), "linearEvaluation" + fixed},
	"finetuning":       {fine(`name: few, labelFraction: "1"`), "finetuning" + fixed},
	"checkpoint":       {in(`checkpoint: {keep: 3}`), "checkpoint" + fixed},
	"output":           {in(`output: {existingClaim: other}`), "output" + fixed},
	"restartPolicy":    {in(`restartPolicy: {maxRestarts: 9}`), "restartPolicy" + fixed},
	"accelerator":      {acc(`type: NvidiaGPU`), "accelerator" + onlySuspended},
	"place of views":   {acc(`augmentations: Host`), "accelerator" + onlySuspended},
	"workers":          {in(`workers: 2`), "workers" + onlySuspended},
	"template":         {in(`template: {image: other}`), "template" + onlySuspended},
	"managedBy":        {in(`managedBy: example.com/other`), "managedBy" + fixed},
	"suspend":          {in(`suspend: true`), ""},
	"deadlines":        {in(`progressDeadlineSeconds: 60, activeDeadlineSeconds: 60`), ""},
	"ttl":              {in(`ttlSecondsAfterFinished: 0`), ""},
	"labels":           {`metadata: {labels: {a: b}}`, ""},
}

// tryChanges changes a run that is suspended and one that is not.
func tryChanges(t *testing.T, tried *trials) {
	ctx := context.Background()
	for name, suspended := range map[string]bool{"running": false, "halted": true} {
		run := patched(t, minimal, "metadata: {name: "+name+"}")
		if suspended {
			run = patched(t, minimal, "metadata: {name: "+name+"}\nspec: {suspend: true}")
		}
		if err := server.Create(ctx, run); err != nil {
			t.Fatal(err)
		}
		for what, tc := range changes {
			t.Run(name+"/"+what, func(t *testing.T) {
				want := tc.want
				if suspended && strings.HasSuffix(want, onlySuspended) {
					want = ""
				}
				body, err := yaml.YAMLToJSON([]byte(tc.change))
				if err != nil {
					t.Fatal(err)
				}
				err = server.Patch(ctx, run.DeepCopy(), client.RawPatch(types.MergePatchType, body), client.DryRunAll)
				tried.note(run, err)
				switch {
				case want == "" && err != nil:
					t.Errorf("rejected: %v", err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("gave %v, want %q", err, want)
				}
			})
		}
	}
}
