package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
)

// rule is a patch of the minimal run that is accepted, one that is rejected, and what is said then.
type rule struct{ accept, reject, want string }

const (
	folder = `uri: pvc://c/d, format: ImageFolder, name: null`
	images = `uri: pvc://c/d, format: Images, name: null`
	tpu    = `accelerator: {type: TPU, generation: v6e, topology: 2x2`
)

func in(spec string) string { return "spec: {" + spec + "}" }

// evaluated is a run whose evaluation has a dataset of its own.
func evaluated(fields string) string { return in("evaluation: {dataset: {" + fields + "}}") }

func data(fields string) string { return in("dataset: {" + fields + "}") }

var datasetRules = map[string]rule{
	"name or uri":     {data(folder), data(`uri: pvc://c/d, format: IDX`), "dataset: set exactly one of name and uri"},
	"neither":         {data(`name: fashion-mnist`), data(`name: null, limit: 300`), "dataset: set exactly one of name and uri"},
	"format with uri": {data(folder), data(`name: null, uri: pvc://c/d`), "dataset.format: is needed with uri; set ImageFolder, WebDataset, CIFAR, IDX or Images"},
	"format alone":    {data(folder), data(`format: IDX`), "dataset.format: is only for uri; remove it"},
	"limit":           {data(`limit: 50000`), data(`limit: 50001`), "dataset.limit: fashion-mnist has 60000 training images and cifar-10 50000; set it to at most that"},
	"limit of fashion-mnist": {data(`name: fashion-mnist, limit: 60000`), data(`name: fashion-mnist, limit: 60001`),
		"dataset.limit: fashion-mnist has 60000"},
	"uri": {data(`name: null, format: IDX, uri: "pvc://my-claim/"`), data(`name: null, format: IDX, uri: "ftp://host/x"`),
		"uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim, s3://BUCKET/PATH, gs://BUCKET/PATH or https://HOST/PATH, without a user and a query"},
	"uri's claim": {data(`name: null, format: IDX, uri: "pvc://my.claim/x"`), data(`name: null, format: IDX, uri: "pvc://My_Claim/x"`),
		"uri: must be pvc://CLAIM/PATH"},
	"uri's path": {data(`name: null, format: IDX, uri: "pvc://c/a..b/c"`), data(`name: null, format: IDX, uri: "pvc://c/a/../b"`),
		"uri: its path must not have a part '..'; name the directory from the root of the claim, bucket or server"},
	"evaluation's name or uri": {evaluated(`name: cifar-10`), evaluated(`name: cifar-10, uri: pvc://c/d, format: IDX`), "dataset: set exactly one of name and uri"},
	"evaluation's format": {evaluated(`uri: pvc://c/d, format: IDX`), evaluated(`uri: pvc://c/d`),
		"dataset.format: is needed with uri; set ImageFolder, WebDataset, CIFAR, IDX or Images"},
	"evaluation's format alone": {evaluated(`name: cifar-10`), evaluated(`name: cifar-10, format: IDX`), "dataset.format: is only for uri; remove it"},
	"evaluation's limit": {evaluated(`name: cifar-10, limit: 50000`), evaluated(`name: cifar-10, limit: 50001`),
		"dataset.limit: fashion-mnist has 60000 training images and cifar-10 50000; set it to at most that"},
	"evaluation's uri": {evaluated(`uri: pvc://c/d, format: IDX`), evaluated(`uri: "/d", format: IDX`),
		"uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim"},
	"evaluation's path": {evaluated(`uri: pvc://c/d, format: IDX`), evaluated(`uri: pvc://c/../d, format: IDX`),
		"uri: its path must not have a part '..'; name the directory from the root of the claim, bucket or server"},
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

func aug(s string) string   { return in("augmentations: {" + s + "}") }
func crop(s string) string  { return in("augmentations: {randomResizedCrop: {" + s + "}}") }
func color(s string) string { return in("augmentations: {colorDistortion: {" + s + "}}") }
func blur(s string) string  { return in("augmentations: {gaussianBlur: {" + s + "}}") }
func pre(s string) string   { return in("pretraining: {" + s + "}") }

// listed is a finetuning entry on a dataset whose images have names.
func listed(s string) string {
	return in("dataset: {" + folder + "}, finetuning: [{name: few, " + s + "}]")
}

func fine(s string) string { return in(`finetuning: [{` + s + `}]`) }

var trainingRules = map[string]rule{
	"minScale":      {crop(`minScale: "0.5"`), crop(`minScale: "0"`), "minScale: must be above 0 and at most 1"},
	"maxScale":      {crop(`maxScale: "0.5"`), crop(`maxScale: "1.1"`), "maxScale: must be above 0 and at most 1"},
	"scales":        {crop(`minScale: "0.5", maxScale: "0.5"`), crop(`maxScale: "0.01"`), "minScale: is more than maxScale (defaults 0.08 and 1); set it to at most that"},
	"minRatio":      {crop(`minRatio: "0.01"`), crop(`minRatio: "1e-3"`), "minRatio: must be between 0.01 and 100"},
	"maxRatio":      {crop(`maxRatio: "100"`), crop(`maxRatio: "1e99"`), "maxRatio: must be between 0.01 and 100"},
	"ratios":        {crop(`minRatio: "1", maxRatio: "1"`), crop(`minRatio: "2"`), "minRatio: is more than maxRatio (defaults 0.75 and 1.3333); set it to at most that"},
	"flip":          {in(`augmentations: {horizontalFlip: {probability: "0"}}`), in(`augmentations: {horizontalFlip: {probability: "2"}}`), "probability: must be between 0 and 1"},
	"brightness":    {color(`brightness: "2"`), color(`brightness: "2.1"`), "brightness: must be between 0 and 2"},
	"contrast":      {color(`contrast: "0"`), color(`contrast: "2.1"`), "contrast: must be between 0 and 2"},
	"saturation":    {color(`saturation: "2"`), color(`saturation: "3"`), "saturation: must be between 0 and 2"},
	"hue":           {color(`hue: "0.5"`), color(`hue: "0.6"`), "hue: must be between 0 and 0.5, half the circle"},
	"cutout":        {aug(`cutout: {probability: "1"}`), aug(`cutout: {probability: "1.5"}`), "probability: must be between 0 and 1"},
	"cutout's size": {aug(`cutout: {size: "1"}`), aug(`cutout: {size: "0"}`), "size: must be above 0 and at most 1"},
	"sobel":         {aug(`sobel: {probability: "1"}`), aug(`sobel: {probability: "1.5"}`), "probability: must be between 0 and 1"},
	"noise":         {aug(`gaussianNoise: {probability: "1"}`), aug(`gaussianNoise: {probability: "1.5"}`), "probability: must be between 0 and 1"},
	"noise's sigma": {aug(`gaussianNoise: {sigma: "1"}`), aug(`gaussianNoise: {sigma: "0"}`), "sigma: must be above 0 and at most 1"},
	"rotation":      {aug(`rotation: {probability: "1"}`), aug(`rotation: {probability: "1.5"}`), "probability: must be between 0 and 1"},
	"kernel":        {blur(`kernelSize: 5`), blur(`kernelSize: 4`), "kernelSize: must be odd; the kernel has a centre"},
	"strength":      {color(`strength: "2.5"`), color(`strength: "3"`), "strength: must be at most 2.5, where the hue changes by half the circle"},
	"jitter":        {color(`jitterProbability: "1"`), color(`jitterProbability: "1.5"`), "jitterProbability: must be between 0 and 1"},
	"grey":          {color(`grayscaleProbability: "1"`), color(`grayscaleProbability: "1.5"`), "grayscaleProbability: must be between 0 and 1"},
	"blur":          {blur(`probability: "1"`), blur(`probability: "1.5"`), "probability: must be between 0 and 1"},
	"minSigma":      {blur(`minSigma: "0.01"`), blur(`minSigma: "0"`), "minSigma: must be between 0.01 and 100"},
	"maxSigma":      {blur(`maxSigma: "100"`), blur(`maxSigma: "1e99"`), "maxSigma: must be between 0.01 and 100"},
	"sigmas":        {blur(`minSigma: "1", maxSigma: "1"`), blur(`minSigma: "3"`), "minSigma: is more than maxSigma (defaults 0.1 and 2); set it to at most that"},
	"blur of few pixels": {in(`dataset: {imageSize: 20}, augmentations: {gaussianBlur: {mode: Enabled}}`),
		in(`dataset: {imageSize: 19}, augmentations: {gaussianBlur: {mode: Enabled}}`), "augmentations.gaussianBlur.mode: below 20 pixels its kernel, a tenth of the height, is a single pixel"},
	"no blur of few pixels": {in(`dataset: {imageSize: 8}, augmentations: {gaussianBlur: {mode: Disabled}}`),
		in(`dataset: {imageSize: 8}, augmentations: {gaussianBlur: {mode: Enabled}}`), "set it to Disabled, kernelSize to 3 or more, or dataset.imageSize to at least 20"},
	"kernel of few pixels": {in(`dataset: {imageSize: 8}, augmentations: {gaussianBlur: {mode: Enabled, kernelSize: 3}}`),
		in(`augmentations: {gaussianBlur: {mode: Enabled, kernelSize: 1}}`), "is a single pixel; set it to Disabled, kernelSize to 3 or more"},
	"width": {in(`encoder: {widthMultiplier: "0.0625"}`), in(`encoder: {widthMultiplier: "0.01"}`), "widthMultiplier: must be between 0.0625 and 8"},
	"selective kernels": {in(`encoder: {depth: 50, selectiveKernel: Enabled}`), in(`encoder: {depth: 34, selectiveKernel: Enabled}`),
		"encoder.selectiveKernel: Enabled needs bottlenecks; set encoder.depth to 50, 101, 152 or 200"},
	"head's layers": {in(`projectionHead: {layers: 3}`), in(`projectionHead: {type: Linear, layers: 2}`),
		"projectionHead.layers: is only for type NonLinear; remove it"},
	"head's dimension": {in(`projectionHead: {type: Linear, dimension: 64}`), in(`projectionHead: {type: None, dimension: 64}`),
		"projectionHead.dimension: is not for type None, where z is h; remove it"},
	"head's normalization": {in(`projectionHead: {type: Linear, outputNormalization: ScaleAndShift}`), in(`projectionHead: {type: None, outputNormalization: ScaleOnly}`),
		"projectionHead.outputNormalization: is not for type None, where z is h; remove it"},
	"linear features": {in(`projectionHead: {type: Linear}, linearEvaluation: {features: Projection}`), in(`projectionHead: {type: Linear}, linearEvaluation: {features: HeadFirstLayer}`),
		"linearEvaluation.features: HeadFirstLayer needs projectionHead.type NonLinear; set it to Encoder or Projection"},
	"finetuning features": {in(`projectionHead: {layers: 3}, finetuning: [{name: a, labelFraction: "1", features: HeadFirstLayer}]`),
		in(`projectionHead: {type: None}, finetuning: [{name: a, labelFraction: "1", features: HeadFirstLayer}]`),
		"finetuning features: HeadFirstLayer needs projectionHead.type NonLinear; set it to Encoder or Projection"},
	"temperature":        {pre(`temperature: "0.005"`), pre(`temperature: "1e-99"`), "pretraining.temperature: must be between 0.005 and 10"},
	"temperature, high":  {pre(`temperature: "10"`), pre(`temperature: "10.1"`), "pretraining.temperature: must be between 0.005 and 10"},
	"learning rate":      {pre(`learningRate: "100"`), pre(`learningRate: "1e99"`), "pretraining.learningRate: must be between 1e-8 and 100"},
	"learning rate, low": {pre(`learningRate: "1e-8"`), pre(`learningRate: "0"`), "pretraining.learningRate: must be between 1e-8 and 100"},
	"weight decay":       {pre(`weightDecay: "0"`), pre(`weightDecay: "2"`), "pretraining.weightDecay: must be between 0 and 1"},
	"warmup":             {pre(`epochs: 5, warmupEpochs: 5`), pre(`epochs: 5, warmupEpochs: 6`), "pretraining.warmupEpochs: is more than epochs; set it to at most that"},
	"micro-batch": {in(`batchSize: 256, pretraining: {microBatchSize: 64}`), in(`batchSize: 256, pretraining: {microBatchSize: 60}`),
		"pretraining.microBatchSize: must divide batchSize / workers, a worker's images"},
	"global statistics": {in(`batchSize: 256, pretraining: {microBatchSize: 256, batchNormStatistics: Global}`), in(`batchSize: 256, pretraining: {microBatchSize: 128, batchNormStatistics: Global}`),
		"pretraining.batchNormStatistics: Global and Worker need a worker's images at once; set it to MicroBatch, or remove microBatchSize"},
	"global statistics of two workers": {in(`batchSize: 256, workers: 2, pretraining: {microBatchSize: 128, batchNormStatistics: Global}`), in(`batchSize: 256, workers: 2, pretraining: {microBatchSize: 64, batchNormStatistics: Global}`),
		"pretraining.batchNormStatistics: Global and Worker need a worker's images at once; set it to MicroBatch, or remove microBatchSize"},
	"a worker's statistics": {in(`batchSize: 256, workers: 2, pretraining: {batchNormStatistics: Worker}`), in(`batchSize: 256, workers: 2, pretraining: {microBatchSize: 64, batchNormStatistics: Worker}`),
		"pretraining.batchNormStatistics: Global and Worker need a worker's images at once; set it to MicroBatch, or remove microBatchSize"},
	"a micro-batch's statistics": {in(`batchSize: 256, pretraining: {microBatchSize: 64, batchNormStatistics: MicroBatch}`), pre(`batchNormStatistics: MicroBatch`),
		"pretraining.batchNormStatistics: MicroBatch needs microBatchSize; set that, or remove it"},
	"from": {pre(`from: {run: other}`), pre(`from: {run: other, uri: "pvc://c/encoder"}`), "pretraining.from: set exactly one of run and uri"},
	"from's uri": {pre(`from: {uri: "pvc://c/encoder"}`), pre(`from: {uri: "s3://bucket/encoder"}`),
		"uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim"},
	"from's path": {pre(`from: {uri: "pvc://c/a..b"}`), pre(`from: {uri: "pvc://c/.."}`),
		"uri: its path must not have a part '..'; name the directory from the claim's root"},
	"from itself":           {pre(`from: {run: minimal-2}`), pre(`from: {run: minimal}`), "pretraining.from.run: names the run itself; name another run"},
	"knn temperature":       {in(`knn: {temperature: "0.005"}`), in(`knn: {temperature: "1e-99"}`), "knn.temperature: must be between 0.005 and 10"},
	"knn temperature, high": {in(`knn: {temperature: "10"}`), in(`knn: {temperature: "11"}`), "knn.temperature: must be between 0.005 and 10"},
	"LBFGS only":            {in(`linearEvaluation: {method: LBFGS, maxIterations: 9}`), in(`linearEvaluation: {maxIterations: 9}`), "linearEvaluation.maxIterations: is only for method LBFGS; remove it"},
	"SGD's epochs":          {in(`linearEvaluation: {epochs: 9}`), in(`linearEvaluation: {method: LBFGS, epochs: 9}`), "linearEvaluation.epochs: is only for method SGD; remove it"},
	"SGD's batch":           {in(`linearEvaluation: {batchSize: 9}`), in(`linearEvaluation: {method: LBFGS, batchSize: 9}`), "linearEvaluation.batchSize: is only for method SGD; remove it"},
	"SGD's rate":            {in(`linearEvaluation: {learningRate: "1"}`), in(`linearEvaluation: {method: LBFGS, learningRate: "1"}`), "linearEvaluation.learningRate: is only for method SGD; remove it"},
	"linear rate":           {in(`linearEvaluation: {learningRate: "100"}`), in(`linearEvaluation: {learningRate: "101"}`), "linearEvaluation.learningRate: must be between 1e-8 and 100"},
	"linear rate, low":      {in(`linearEvaluation: {learningRate: "1e-8"}`), in(`linearEvaluation: {learningRate: "0"}`), "linearEvaluation.learningRate: must be between 1e-8 and 100"},
	"linear weight decay":   {in(`linearEvaluation: {weightDecay: "0"}`), in(`linearEvaluation: {weightDecay: "2"}`), "linearEvaluation.weightDecay: must be between 0 and 1"},
	"finetuning's name":     {fine(`name: few, labelFraction: "1"`), fine(`name: pretrain, labelFraction: "1"`), "finetuning name: pretrain, linear-eval, complete, failed and suspended are taken; choose another"},
	"unique names": {in(`finetuning: [{name: a, labelFraction: "1"}, {name: b, labelFraction: "1"}]`),
		in(`finetuning: [{name: a, labelFraction: "1"}, {name: a, labelFraction: "0.1"}]`), "Duplicate value"},
	"label fraction": {fine(`name: few, labelFraction: "0.001"`), fine(`name: few, labelFraction: "0"`), "labelFraction: must be above 0 and at most 1"},
	"fraction or subset": {fine(`name: few, labelFraction: "1"`), listed(`labelFraction: "1", labelSubset: {file: a}, epochs: 1`),
		"finetuning: set exactly one of labelFraction and labelSubset"},
	"neither fraction nor subset": {listed(`labelSubset: {file: subsets/1percent.txt}, epochs: 60`), fine(`name: few, epochs: 1`),
		"finetuning: set exactly one of labelFraction and labelSubset"},
	"subset's epochs": {listed(`labelSubset: {file: a}, epochs: 1`), listed(`labelSubset: {file: a}`), "finetuning epochs: is needed with labelSubset"},
	"subset's file": {listed(`labelSubset: {file: a..b/c}, epochs: 1`), listed(`labelSubset: {file: ../a}, epochs: 1`),
		"labelSubset.file: must be a path below the dataset's root"},
	"subset's file, rooted": {listed(`labelSubset: {file: a}, epochs: 1`), listed(`labelSubset: {file: /a}, epochs: 1`),
		"labelSubset.file: must be a path below the dataset's root"},
	"subset's format": {listed(`labelSubset: {file: a}, epochs: 1`), fine(`name: few, labelSubset: {file: a}, epochs: 1`),
		"finetuning labelSubset: needs images with names"},
	"subset's evaluation format": {in(`evaluation: {dataset: {uri: pvc://c/d, format: ImageFolder}}, finetuning: [{name: a, labelSubset: {file: a}, epochs: 1}]`),
		in(`dataset: {` + folder + `}, evaluation: {dataset: {name: cifar-10}}, finetuning: [{name: a, labelSubset: {file: a}, epochs: 1}]`),
		"finetuning labelSubset: needs images with names"},
	"shards of a web server": {data(`name: null, format: WebDataset, uri: "https://h/d/{train-{0..9},val-0}.tar"`), data(`name: null, format: WebDataset, uri: "https://h/d"`),
		"dataset.uri: a web server lists no shards; end it with their names"},
	"evaluation's shards of a web server": {evaluated(`uri: "https://h/{train-{0..9},val-0}.tar", format: WebDataset`), evaluated(`uri: "https://h/d", format: WebDataset`),
		"dataset.uri: a web server lists no shards; end it with their names"},
	"subset of shards": {in(`dataset: {uri: pvc://c/d, format: WebDataset, name: null}, finetuning: [{name: a, labelSubset: {file: a}, epochs: 1}]`),
		in(`dataset: {uri: pvc://c/d, format: IDX, name: null}, finetuning: [{name: a, labelSubset: {file: a}, epochs: 1}]`),
		"finetuning labelSubset: needs images with names"},
	"finetuning rate":         {fine(`name: few, labelFraction: "1", learningRate: "100"`), fine(`name: few, labelFraction: "1", learningRate: "101"`), "finetuning learningRate: must be between 1e-8 and 100"},
	"finetuning rate, low":    {fine(`name: few, labelFraction: "1", learningRate: "1e-8"`), fine(`name: few, labelFraction: "1", learningRate: "0"`), "finetuning learningRate: must be between 1e-8 and 100"},
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
	"views of CPU":    {acc(`type: NvidiaGPU, augmentations: Accelerator`), acc(`augmentations: Accelerator`), "accelerator.augmentations: Accelerator is not for type CPU; set it to Host, or remove it"},
	"resource of CPU": {acc(`type: NvidiaGPU, resourceName: amd.com/gpu`), acc(`resourceName: amd.com/gpu`), "accelerator.resourceName: is not for type CPU; remove it"},
	"tolerations of CPU": {acc(`type: NvidiaGPU, tolerations: [{operator: Exists}]`), acc(`tolerations: [{operator: Exists}]`),
		"accelerator.tolerations: is not for type CPU; use template.tolerations"},
	"generation's topology": {acc(`type: TPU, generation: v5p, topology: 2x2x1`), acc(`type: TPU, generation: v5p, topology: 2x2`), "accelerator.topology: the generation has no such slice; set one of"},
	"several hosts":         {acc(`type: TPU, generation: v6e, topology: 4x4`), acc(`type: TPU, generation: v6e, topology: 4x5`), "accelerator.topology: the generation has no such slice; set one of"},
	"hosts of a slice":      {in(`batchSize: 1024, accelerator: {type: TPU, generation: v4, topology: 8x8x16}`), in(`batchSize: 1536, accelerator: {type: TPU, generation: v4, topology: 8x12x16}`), "accelerator.topology: a run has at most 256 workers, of 4 chips each; set one of at most 1024 chips"},
	"chips":                 {in(tpu + ", devicesPerWorker: 4}"), in(tpu + ", devicesPerWorker: 2}"), "accelerator.devicesPerWorker: must be the chips of a host of topology; remove it"},
	"batch and devices":     {in(`workers: 4, accelerator: {type: NvidiaGPU, devicesPerWorker: 8}, pretraining: {batchNormStatistics: Worker}`), in(`workers: 2, accelerator: {type: NvidiaGPU, devicesPerWorker: 3}`), "batchSize: must be a multiple of workers × accelerator.devicesPerWorker"},
	"batch and workers":     {in(`workers: 4`), in(`workers: 3`), "batchSize: must be a multiple of workers × accelerator.devicesPerWorker"},
	"workers of a TPU":      {in(tpu + "}"), in(`workers: 1, ` + tpu + "}"), "workers: follows from accelerator.topology for type TPU; remove it"},
	"batch and chips":       {in(`batchSize: 32, accelerator: {type: TPU, generation: v4, topology: 2x2x4}`), in(`batchSize: 24, accelerator: {type: TPU, generation: v4, topology: 2x2x4}`), "batchSize: must be a multiple of the chips of accelerator.topology"},
	"batch and cores":       {in(`batchSize: 256, accelerator: {type: TPU, generation: v3, topology: 8x8}`), in(`batchSize: 192, accelerator: {type: TPU, generation: v3, topology: 8x8}`), "of v3 twice as many: a chip has two cores"},
	"a claim of several nodes": {in(`workers: 2, output: {claim: {accessMode: ReadWriteMany}}`), in(`workers: 2, output: {claim: {accessMode: ReadWriteOnce}}`),
		"output.claim.accessMode: several workers need ReadWriteMany, since they may be on several nodes; set it to that, or workers to 1"},
	"micro-batch of a worker": {in(`workers: 2, pretraining: {microBatchSize: 128, batchNormStatistics: Global}`), in(`workers: 2, pretraining: {microBatchSize: 256}`),
		"pretraining.microBatchSize: must divide batchSize / workers, a worker's images"},
	"output": {in(`output: {existingClaim: mine}`), in(`output: {existingClaim: mine, claim: {size: 1Gi}}`), "output: set at most one of claim and existingClaim"},
	"claim's size": {in(`output: {claim: {size: 1Mi}}`), in(`output: {claim: {size: "0"}}`),
		"output.claim.size: must be at least 1Mi; set a size with its unit, such as 10Gi"},
	"claim's size, negative":     {in(`output: {claim: {size: 1.5Gi}}`), in(`output: {claim: {size: -1Gi}}`), "output.claim.size: must be at least 1Mi"},
	"claim's size without units": {in(`output: {claim: {size: 10737418240}}`), in(`output: {claim: {size: 10}}`), "output.claim.size: must be at least 1Mi"},
	"labels": {in(`template: {labels: {team/x: a}}`), in(`template: {labels: {training.simclr.dev/run: a}}`),
		"template.labels: keys of training.simclr.dev/ are the operator's; remove them"},
	"annotations": {in(`template: {annotations: {team/x: a}}`), in(`template: {annotations: {training.simclr.dev/run: a}}`),
		"template.annotations: keys of training.simclr.dev/ are the operator's; remove them"},
	"env": {in(`template: {env: [{name: SIMCLR_DATASET_MIRROR, value: a}]}`), in(`template: {env: [{name: SIMCLR_OUTPUT, value: a}]}`),
		"template.env: SIMCLR_… is the trainer contract's; remove it (SIMCLR_DATASET_MIRROR may be set)"},
	"unknown field": {in(`suspend: false`), in(`suspended: false`), "unknown field"},
}

// TestRules tries every rule on the API server and without it, both with the same outcome.
func TestRules(t *testing.T) {
	tried := newTrials()
	for group, rules := range map[string]map[string]rule{
		"dataset": datasetRules, "source": sourceRules(data), "evaluation's source": sourceRules(evaluated),
		"training": trainingRules, "platform": platformRules,
	} {
		for name, tc := range rules {
			t.Run(group+"/"+name, func(t *testing.T) { tc.try(t, tried) })
		}
	}
	t.Run("changes", func(t *testing.T) { tryChanges(t, tried) })
	t.Run("none is left out", func(t *testing.T) {
		if missing := tried.missing(); len(missing) > 0 {
			t.Errorf("rules that no test rejects beside an accepted value: %q", missing)
		}
	})
}

func (r rule) try(t *testing.T, tried *trials) {
	good, bad := patched(t, minimal, r.accept), patched(t, minimal, r.reject)
	for who, err := range map[string]error{"API server": create(good), "validation": check(good)} {
		if err != nil {
			t.Errorf("%s: %s is rejected: %v", who, r.accept, err)
		}
	}
	byServer, byFile := create(bad), check(bad)
	for who, err := range map[string]error{"API server": byServer, "validation": byFile} {
		if err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %s gave %v, want %q", who, r.reject, err, r.want)
		}
	}
	if d := cmp.Diff(causes(byServer), causes(byFile), cmp.AllowUnexported(cause{})); d != "" {
		t.Errorf("API server (-) and validation (+): %s", d)
	}
	tried.note(good, byServer)
}

// trials are the rules of the schema, by the field that they are of, and those that a test has tried.
type trials struct {
	rules map[string][]string
	tried sets.Set[cause]
}

func newTrials() *trials {
	found := &trials{map[string][]string{}, sets.New[cause]()}
	root := runSchema()
	found.collect(&root, "")
	return found
}

// collect the rules of a schema. The API server calls the whole object <nil>.
func (r *trials) collect(s *apiextensionsv1.JSONSchemaProps, path string) {
	for _, rule := range s.XValidations {
		at := path
		if at == "" {
			at = "<nil>"
		}
		r.rules[at] = append(r.rules[at], rule.Message)
	}
	for name, f := range s.Properties {
		r.collect(&f, strings.TrimPrefix(path+"."+name, "."))
	}
	if s.Items != nil {
		r.collect(s.Items.Schema, path+"[]")
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		r.collect(s.AdditionalProperties.Schema, path+"{}")
	}
}

// note the rules that refused an object, where good was accepted and has their field, so that they were
// asked of it.
func (r *trials) note(good *unstructured.Unstructured, refusal error) {
	for _, c := range causes(refusal) {
		for _, message := range r.rules[c.field] {
			if strings.HasSuffix(c.said, message) && has(good.Object, c.field) {
				r.tried.Insert(cause{c.field, message})
			}
		}
	}
}

func (r *trials) missing() []string {
	var missing []string
	for field, messages := range r.rules {
		for _, message := range messages {
			if !r.tried.Has(cause{field, message}) {
				missing = append(missing, field+": "+message)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// has says whether a field is set; what the schema defaults need not be.
func has(object any, path string) bool {
	if path == "<nil>" {
		return true
	}
	name, rest, more := strings.Cut(path, ".")
	name, isList := strings.CutSuffix(name, "[]")
	value, there := object.(map[string]any)[name]
	if entries, ok := value.([]any); isList && ok && len(entries) > 0 {
		value = entries[0]
	}
	return there && (!more || has(value, rest))
}
