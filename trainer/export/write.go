package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// config is config.json as timm's local-dir: reads it, with the architecture that timm has no words for
// under simclr.
type config struct {
	Architecture  string        `json:"architecture"`
	NumClasses    int           `json:"num_classes"`
	NumFeatures   int           `json:"num_features"`
	GlobalPool    string        `json:"global_pool"`
	PretrainedCfg pretrainedCfg `json:"pretrained_cfg"`
	SimCLR        architecture  `json:"simclr"`
}

type pretrainedCfg struct {
	InputSize     [3]int     `json:"input_size"`
	Interpolation string     `json:"interpolation"`
	CropPct       float64    `json:"crop_pct"`
	Mean          [3]float64 `json:"mean"`
	Std           [3]float64 `json:"std"`
	NumClasses    int        `json:"num_classes"`
	FirstConv     string     `json:"first_conv"`
	Classifier    string     `json:"classifier"`
}

type architecture struct {
	Depth           int              `json:"depth"`
	WidthMultiplier v1alpha1.Decimal `json:"width_multiplier"`
	Stem            string           `json:"stem"`
	Shortcut        string           `json:"shortcut"`
	SelectiveKernel v1alpha1.Mode    `json:"selective_kernel"`
	ProjectionHead  *headConfig      `json:"projection_head,omitempty"`
}

// manifest says what the files are and where they come from.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	Run           string            `json:"run"`
	ConfigHash    string            `json:"configHash"`
	Step          int64             `json:"step"`
	SHA256        map[string]string `json:"sha256"` // of each file
}

func (e Encoder) config() config {
	crop := 0.875 // google-research/simclr data_util.py: centre crop, but for CIFAR
	if e.ImageSize <= 32 {
		crop = 1
	}
	name := "resnet" + strconv.Itoa(e.Depth)
	if !e.published() {
		name = "simclr_" + name // timm says that it does not know it, rather than that shapes differ
	}
	return config{
		Architecture: name, NumFeatures: e.Features, GlobalPool: "avg",
		PretrainedCfg: pretrainedCfg{
			InputSize: [3]int{3, e.ImageSize, e.ImageSize}, Interpolation: "bicubic", CropPct: crop,
			Std: [3]float64{1, 1, 1}, FirstConv: e.firstConv(), Classifier: "fc",
		},
		SimCLR: architecture{e.Depth, e.Width, e.Stem, e.Shortcut, e.SelectiveKernel, e.Head.config()},
	}
}

// firstConv is the name of the convolution of images, as timm has it.
func (e Encoder) firstConv() string {
	if e.deepStem() {
		return "conv1.0"
	}
	return "conv1"
}

// Write writes an encoder's files and gives the SHA-256 of model.safetensors. The same encoder and
// source always give the same bytes: there are no time stamps. The manifest comes last; until then
// readers see that it does not fit. Errors of storage have exit code 14.
func Write(dir string, e Encoder, s Source) (sum string, err error) {
	files, err := e.files(s)
	if err != nil {
		return "", err
	}
	if err := checkpoint.CleanFiles(dir, ModelFile, HeadFile, ConfigFile, CardFile, ModuleFile, ManifestFile); err != nil {
		return "", err
	}
	m := manifest{SchemaVersion: 1, Run: s.Run, ConfigHash: s.ConfigHash, Step: s.Step, SHA256: map[string]string{}}
	for _, f := range files {
		h := sha256.Sum256(f.data)
		m.SHA256[f.name] = hex.EncodeToString(h[:])
		if err := checkpoint.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return "", err
		}
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", err
	}
	return m.SHA256[ModelFile], checkpoint.WriteFile(filepath.Join(dir, ManifestFile), append(raw, '\n'))
}

// content of a file.
type content struct {
	name string
	data []byte
}

// files of an encoder but the manifest.
func (e Encoder) files(s Source) ([]content, error) {
	cfg, err := json.MarshalIndent(e.config(), "", "  ")
	if err != nil {
		return nil, err
	}
	model, err := stored(e.Tensors)
	if err != nil {
		return nil, fmt.Errorf("exporting the encoder: %w", err)
	}
	all := []content{{ModelFile, model}}
	if e.Head.stored() {
		head, err := stored(e.Head.Tensors)
		if err != nil {
			return nil, fmt.Errorf("exporting the projection head: %w", err)
		}
		all = append(all, content{HeadFile, head})
	}
	return append(all, content{ConfigFile, append(cfg, '\n')}, content{CardFile, []byte(e.card(s))}, content{ModuleFile, module}), nil
}

// stored are tensors in a safetensors file that PyTorch reads.
func stored(ts []safetensors.Tensor) ([]byte, error) {
	var b bytes.Buffer
	err := safetensors.Write(&b, ts, map[string]string{"format": "pt"})
	return b.Bytes(), err
}
