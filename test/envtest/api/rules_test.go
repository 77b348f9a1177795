package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/config/crd"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"
)

// rule is a patch of the minimal run that is accepted, one that is rejected, and what is said then.
type rule struct{ accept, reject, want string }

const (
	folder = `uri: pvc://c/d, format: ImageFolder, name: null`
	images = `uri: pvc://c/d, format: Images, name: null`
	tpu    = `accelerator: {type: TPU, generation: v6e, topology: 2x2`
)

func in(spec string) string { return "spec: {" + spec + "}" }

func data(fields string) string { return in("dataset: {" + fields + "}") }

var datasetRules = map[string]rule{
	"name or uri":     {data(folder), data(`uri: pvc://c/d, format: IDX`), "dataset: set exactly one of name and uri"},
	"neither":         {data(`name: fashion-mnist`), data(`name: null, limit: 300`), "dataset: set exactly one of name and uri"},
	"format with uri": {data(folder), data(`name: null, uri: pvc://c/d`), "dataset.format: is needed with uri; set ImageFolder, CIFAR, IDX or Images"},
	"format alone":    {data(folder), data(`format: IDX`), "dataset.format: is only for uri; remove it"},
	"limit":           {data(`limit: 50000`), data(`limit: 50001`), "dataset.limit: fashion-mnist has 60000 training images and cifar-10 50000; set it to at most that"},
	"limit of fashion-mnist": {data(`name: fashion-mnist, limit: 60000`), data(`name: fashion-mnist, limit: 60001`),
		"dataset.limit: fashion-mnist has 60000"},
	"uri": {data(`name: null, format: IDX, uri: "pvc://my-claim/"`), data(`name: null, format: IDX, uri: "s3://bucket/x"`),
		"uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim"},
	"uri's claim": {data(`name: null, format: IDX, uri: "pvc://my.claim/x"`), data(`name: null, format: IDX, uri: "pvc://My_Claim/x"`),
		"uri: must be pvc://CLAIM/PATH"},
	"uri's path": {data(`name: null, format: IDX, uri: "pvc://c/a..b/c"`), data(`name: null, format: IDX, uri: "pvc://c/a/../b"`),
		"uri: its path must not have a part '..'; name the directory from the claim's root"},
	"evaluation's size": {in(`evaluation: {dataset: {name: cifar-10}}`), in(`evaluation: {dataset: {name: cifar-10, imageSize: 32}}`),
		"evaluation.dataset.imageSize: remove it; every stage uses dataset.imageSize"},
	"evaluation's labels": {in(`evaluation: {dataset: {name: cifar-10}}`), in(`evaluation: {dataset: {name: cifar-10, labels: None}}`),
		"evaluation.dataset: must have labels; set labels to FromFormat and format to one that has them"},
	"knn's labels": {in(`dataset: {` + images + `}, knn: {mode: Disabled}`), in(`dataset: {` + images + `}, knn: {mode: Enabled}`),
		"knn.mode: needs labels; set evaluation.dataset to a labelled dataset, or set it to Disabled"},
	"linear evaluation's labels": {in(`dataset: {` + images + `}, linearEvaluation: {mode: Enabled}, evaluation: {dataset: {name: cifar-10}}`),
		in(`dataset: {labels: None}, linearEvaluation: {mode: Enabled}`),
		"linearEvaluation.mode: needs labels; set evaluation.dataset to a labelled dataset, or set it to Disabled"},
	"finetuning's labels": {in(`finetuning: [{name: a, labelFraction: "1"}]`), in(`dataset: {labels: None}, finetuning: [{name: a, labelFraction: "1"}]`),
		"finetuning: needs labels; set evaluation.dataset to a labelled dataset, or remove finetuning"},
	"batch and limit": {in(`batchSize: 512, dataset: {limit: 512}`), in(`batchSize: 513, dataset: {limit: 512}`),
		"batchSize: is more than the training images of the dataset; set it to at most that"},
	"batch and known size": {in(`batchSize: 50000`), in(`batchSize: 50001`), "batchSize: is more than the training images"},
}

func crop(s string) string  { return in("augmentations: {randomResizedCrop: {" + s + "}}") }
func color(s string) string { return in("augmentations: {colorDistortion: {" + s + "}}") }
func blur(s string) string  { return in("augmentations: {gaussianBlur: {" + s + "}}") }
func pre(s string) string   { return in("pretraining: {" + s + "}") }
func fine(s string) string  { return in(`finetuning: [{` + s + `}]`) }

var trainingRules = map[string]rule{
	"minScale":            {crop(`minScale: "0.5"`), crop(`minScale: "0"`), "minScale: must be above 0 and at most 1"},
	"maxScale":            {crop(`maxScale: "0.5"`), crop(`maxScale: "1.1"`), "maxScale: must be above 0 and at most 1"},
	"scales":              {crop(`minScale: "0.5", maxScale: "0.5"`), crop(`maxScale: "0.01"`), "minScale: is more than maxScale (defaults 0.08 and 1); set it to at most that"},
	"minRatio":            {crop(`minRatio: "0.5"`), crop(`minRatio: "0"`), "minRatio: must be above 0"},
	"maxRatio":            {crop(`maxRatio: "2"`), crop(`maxRatio: "0"`), "maxRatio: must be above 0"},
	"ratios":              {crop(`minRatio: "1", maxRatio: "1"`), crop(`minRatio: "2"`), "minRatio: is more than maxRatio (defaults 0.75 and 1.3333); set it to at most that"},
	"flip":                {in(`augmentations: {horizontalFlip: {probability: "0"}}`), in(`augmentations: {horizontalFlip: {probability: "2"}}`), "probability: must be between 0 and 1"},
	"strength":            {color(`strength: "2.5"`), color(`strength: "3"`), "strength: must be at most 2.5, where the hue changes by half the circle"},
	"jitter":              {color(`jitterProbability: "1"`), color(`jitterProbability: "1.5"`), "jitterProbability: must be between 0 and 1"},
	"grey":                {color(`grayscaleProbability: "1"`), color(`grayscaleProbability: "1.5"`), "grayscaleProbability: must be between 0 and 1"},
	"blur":                {blur(`probability: "1"`), blur(`probability: "1.5"`), "probability: must be between 0 and 1"},
	"minSigma":            {blur(`minSigma: "1"`), blur(`minSigma: "0"`), "minSigma: must be above 0"},
	"maxSigma":            {blur(`maxSigma: "1"`), blur(`maxSigma: "0"`), "maxSigma: must be above 0"},
	"sigmas":              {blur(`minSigma: "1", maxSigma: "1"`), blur(`minSigma: "3"`), "minSigma: is more than maxSigma (defaults 0.1 and 2); set it to at most that"},
	"width":               {in(`encoder: {widthMultiplier: "0.0625"}`), in(`encoder: {widthMultiplier: "0.01"}`), "widthMultiplier: must be between 0.0625 and 8"},
	"temperature":         {pre(`temperature: "1e-2"`), pre(`temperature: "0"`), "pretraining.temperature: must be above 0"},
	"learning rate":       {pre(`learningRate: "4.8"`), pre(`learningRate: "0"`), "pretraining.learningRate: must be above 0"},
	"weight decay":        {pre(`weightDecay: "0"`), pre(`weightDecay: "2"`), "pretraining.weightDecay: must be between 0 and 1"},
	"warmup":              {pre(`epochs: 5, warmupEpochs: 5`), pre(`epochs: 5, warmupEpochs: 6`), "pretraining.warmupEpochs: is more than epochs; set it to at most that"},
	"from":                {pre(`from: {run: other}`), pre(`from: {run: other, uri: "pvc://c/encoder"}`), "pretraining.from: set exactly one of run and uri"},
	"from itself":         {pre(`from: {run: minimal-2}`), pre(`from: {run: minimal}`), "pretraining.from.run: names the run itself; name another run"},
	"knn temperature":     {in(`knn: {temperature: "0.07"}`), in(`knn: {temperature: "0"}`), "knn.temperature: must be above 0"},
	"LBFGS only":          {in(`linearEvaluation: {method: LBFGS, maxIterations: 9}`), in(`linearEvaluation: {maxIterations: 9}`), "linearEvaluation.maxIterations: is only for method LBFGS; remove it"},
	"SGD's epochs":        {in(`linearEvaluation: {epochs: 9}`), in(`linearEvaluation: {method: LBFGS, epochs: 9}`), "linearEvaluation.epochs: is only for method SGD; remove it"},
	"SGD's batch":         {in(`linearEvaluation: {batchSize: 9}`), in(`linearEvaluation: {method: LBFGS, batchSize: 9}`), "linearEvaluation.batchSize: is only for method SGD; remove it"},
	"SGD's rate":          {in(`linearEvaluation: {learningRate: "1"}`), in(`linearEvaluation: {method: LBFGS, learningRate: "1"}`), "linearEvaluation.learningRate: is only for method SGD; remove it"},
	"linear rate":         {in(`linearEvaluation: {learningRate: "1"}`), in(`linearEvaluation: {learningRate: "0"}`), "linearEvaluation.learningRate: must be above 0"},
	"linear weight decay": {in(`linearEvaluation: {weightDecay: "0"}`), in(`linearEvaluation: {weightDecay: "2"}`), "linearEvaluation.weightDecay: must be between 0 and 1"},
	"finetuning's name":   {fine(`name: few, labelFraction: "1"`), fine(`name: pretrain, labelFraction: "1"`), "finetuning name: pretrain, linear-eval, complete, failed and suspended are taken; choose another"},
	"unique names": {in(`finetuning: [{name: a, labelFraction: "1"}, {name: b, labelFraction: "1"}]`),
		in(`finetuning: [{name: a, labelFraction: "1"}, {name: a, labelFraction: "0.1"}]`), "Duplicate value"},
	"label fraction":          {fine(`name: few, labelFraction: "0.001"`), fine(`name: few, labelFraction: "0"`), "labelFraction: must be above 0 and at most 1"},
	"finetuning rate":         {fine(`name: few, labelFraction: "1", learningRate: "1"`), fine(`name: few, labelFraction: "1", learningRate: "0"`), "finetuning learningRate: must be above 0"},
	"finetuning weight decay": {fine(`name: few, labelFraction: "1", weightDecay: "0"`), fine(`name: few, labelFraction: "1", weightDecay: "2"`), "finetuning weightDecay: must be between 0 and 1"},
}

func acc(s string) string { return in("accelerator: {" + s + "}") }

var platformRules = map[string]rule{
	"run name":        {`metadata: {name: a-1}`, `metadata: {name: 1-a}`, "metadata.name: must be lower case letters, digits and -, and start with a letter"},
	"run name's size": {`metadata: {name: a23456789012345678901234567890}`, `metadata: {name: a234567890123456789012345678901}`, "metadata.name: must have at most 30 characters; Jobs and pods are named by it"},
	"product":         {acc(`type: NvidiaGPU, product: NVIDIA-H200`), acc(`product: NVIDIA-H200`), "accelerator.product: is only for type NvidiaGPU; remove it"},
	"generation":      {in(tpu + "}"), acc(`type: NvidiaGPU, generation: v4`), "accelerator.generation: is only for type TPU; remove it"},
	"topology":        {in(tpu + "}"), acc(`topology: 2x2`), "accelerator.topology: is only for type TPU; remove it"},
	"no generation":   {in(tpu + "}"), acc(`type: TPU, topology: 2x2`), "accelerator.generation: is needed for type TPU; set v3, v4, v5e, v5p or v6e"},
	"no topology":     {in(tpu + "}"), acc(`type: TPU, generation: v4`), "accelerator.topology: is needed for type TPU; set one such as 2x2 or 2x2x1"},
	"devices of CPU":  {acc(`type: NvidiaGPU, devicesPerWorker: 8`), acc(`devicesPerWorker: 1`), "accelerator.devicesPerWorker: is not for type CPU; remove it"},
	"resource of CPU": {acc(`type: NvidiaGPU, resourceName: amd.com/gpu`), acc(`resourceName: amd.com/gpu`), "accelerator.resourceName: is not for type CPU; remove it"},
	"tolerations of CPU": {acc(`type: NvidiaGPU, tolerations: [{operator: Exists}]`), acc(`tolerations: [{operator: Exists}]`),
		"accelerator.tolerations: is not for type CPU; use template.tolerations"},
	"one host": {acc(`type: TPU, generation: v5e, topology: 2x4`), acc(`type: TPU, generation: v6e, topology: 4x4`),
		"accelerator.topology: must be one of a single host (v3: 2x2; v4, v5p: 2x2x1; v5e, v6e: 1x1, 2x2, 2x4); several workers come with a later version"},
	"generation's topology": {acc(`type: TPU, generation: v5p, topology: 2x2x1`), acc(`type: TPU, generation: v5p, topology: 2x2`), "accelerator.topology: must be one of a single host"},
	"chips":                 {in(tpu + ", devicesPerWorker: 4}"), in(tpu + ", devicesPerWorker: 2}"), "accelerator.devicesPerWorker: must be the number of chips of topology; remove it"},
	"batch and devices":     {acc(`type: NvidiaGPU, devicesPerWorker: 8`), acc(`type: NvidiaGPU, devicesPerWorker: 3`), "batchSize: must be a multiple of accelerator.devicesPerWorker"},
	"batch and chips":       {in(`batchSize: 12, ` + tpu + "}"), in(`batchSize: 10, ` + tpu + "}"), "batchSize: must be a multiple of the chips of accelerator.topology"},
	"output":                {in(`output: {existingClaim: mine}`), in(`output: {existingClaim: mine, claim: {size: 1Gi}}`), "output: set at most one of claim and existingClaim"},
	"labels": {in(`template: {labels: {team/x: a}}`), in(`template: {labels: {training.simclr.dev/run: a}}`),
		"template.labels: keys of training.simclr.dev/ are the operator's; remove them"},
	"annotations": {in(`template: {annotations: {team/x: a}}`), in(`template: {annotations: {training.simclr.dev/run: a}}`),
		"template.annotations: keys of training.simclr.dev/ are the operator's; remove them"},
	"env": {in(`template: {env: [{name: SIMCLR_DATASET_MIRROR, value: a}]}`), in(`template: {env: [{name: SIMCLR_OUTPUT, value: a}]}`),
		"template.env: SIMCLR_… is the trainer contract's; remove it (SIMCLR_DATASET_MIRROR may be set)"},
	"unknown field": {in(`suspend: false`), in(`suspended: false`), "unknown field"},
}

func TestRules(t *testing.T) {
	for group, rules := range map[string]map[string]rule{"dataset": datasetRules, "training": trainingRules, "platform": platformRules} {
		for name, tc := range rules {
			t.Run(group+"/"+name, func(t *testing.T) {
				good, bad := patched(t, minimal, tc.accept), patched(t, minimal, tc.reject)
				for who, try := range map[string]func() (error, error){
					"API server": func() (error, error) { return create(good), create(bad) },
					"validation": func() (error, error) { return check(good), check(bad) },
				} {
					accepted, rejected := try()
					if accepted != nil {
						t.Errorf("%s: %s is rejected: %v", who, tc.accept, accepted)
					}
					want := tc.want
					if rejected == nil || !strings.Contains(rejected.Error(), want) {
						t.Errorf("%s: %s gave %v, want %q", who, tc.reject, rejected, want)
					}
				}
			})
		}
	}
}

// TestEveryRuleIsTried finds the messages of all CEL rules in the tables.
func TestEveryRuleIsTried(t *testing.T) {
	text, err := yaml.YAMLToJSON(crd.SimCLRRuns)
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	tried := sets.New[string]()
	for _, rules := range []map[string]rule{datasetRules, trainingRules, platformRules} {
		for _, r := range rules {
			tried.Insert(r.want)
		}
	}
	for _, c := range changes {
		tried.Insert(c.want)
	}
	found := sets.New[string]()
	messages(definition, found)
	if missing := found.Difference(tried); len(missing) > 0 {
		t.Errorf("rules that no test rejects: %q", sets.List(missing))
	}
}

func messages(value any, found sets.Set[string]) {
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			messages(e, found)
		}
	case map[string]any:
		if _, isRule := v["rule"].(string); isRule {
			found.Insert(v["message"].(string))
		}
		for _, e := range v {
			messages(e, found)
		}
	}
}
