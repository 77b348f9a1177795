package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Read reads an encoder as Write wrote it, or any directory with a model.safetensors and a config.json of
// timm's. Where there is a manifest the files must match it. Errors are the user's, of pretraining.from.
func Read(dir string) (*Encoder, error) {
	model, err := read(dir, ModelFile)
	if err != nil {
		return nil, err
	}
	cfg, err := read(dir, ConfigFile)
	if err != nil {
		return nil, err
	}
	if err := verify(dir, map[string][]byte{ModelFile: model, ConfigFile: cfg}); err != nil {
		return nil, err
	}
	e, err := parseConfig(cfg)
	if err != nil {
		return nil, invalid(dir, ConfigFile, err)
	}
	if e.Tensors, err = tensors(dir, ModelFile, model); err != nil {
		return nil, err
	}
	if e.Head.stored() {
		e.Head.Tensors, err = readHead(dir)
	}
	return e, err
}

func readHead(dir string) ([]safetensors.Tensor, error) {
	raw, err := read(dir, HeadFile)
	if err != nil {
		return nil, err
	}
	if err := verify(dir, map[string][]byte{HeadFile: raw}); err != nil {
		return nil, err
	}
	return tensors(dir, HeadFile, raw)
}

func tensors(dir, name string, raw []byte) ([]safetensors.Tensor, error) {
	ts, _, err := safetensors.Read(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, invalid(dir, name, err)
	}
	return ts, nil
}

func invalid(dir, name string, err error) error {
	return contract.UserErrorf("EncoderInvalid", "pretraining.from: %s: %w", filepath.Join(dir, name), err)
}

func read(dir, name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, contract.UserErrorf("EncoderMissing", "pretraining.from: %s has no %s; name a directory that a run wrote to encoder/", dir, name)
	}
	if err != nil {
		return nil, contract.Errorf(contract.ExitStorage, "StorageFailed", "pretraining.from: %w", err)
	}
	return raw, nil
}

// verify files by the manifest, where there is one.
func verify(dir string, files map[string][]byte) error {
	raw, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return contract.Errorf(contract.ExitStorage, "StorageFailed", "pretraining.from: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return invalid(dir, ManifestFile, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		if got, want := hex.EncodeToString(sum[:]), m.SHA256[name]; got != want {
			return contract.UserErrorf("EncoderInvalid", "pretraining.from: %s is damaged: its SHA-256 is %s, %s says %s; copy the directory again",
				filepath.Join(dir, name), got, ManifestFile, want)
		}
	}
	return nil
}

func parseConfig(raw []byte) (*Encoder, error) {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	e := &Encoder{
		Depth: c.SimCLR.Depth, Width: c.SimCLR.WidthMultiplier, Stem: c.SimCLR.Stem, Shortcut: c.SimCLR.Shortcut,
		SelectiveKernel: c.SimCLR.SelectiveKernel,
		ImageSize:       c.PretrainedCfg.InputSize[1], Features: c.NumFeatures,
		Head: c.SimCLR.ProjectionHead.head(),
	}
	if e.Depth == 0 { // not written by Write: timm's name of the architecture tells
		if n, ok := strings.CutPrefix(c.Architecture, "resnet"); ok {
			e.Depth, _ = strconv.Atoi(n) // resnet50d and the like stay unknown; Check compares the tensors
		}
	}
	return e, nil
}
