package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
		return nil, contract.UserErrorf("EncoderInvalid", "pretraining.from: %s: %w", filepath.Join(dir, ConfigFile), err)
	}
	e.Tensors, _, err = safetensors.Read(bytes.NewReader(model), int64(len(model)))
	if err != nil {
		return nil, contract.UserErrorf("EncoderInvalid", "pretraining.from: %s: %w", filepath.Join(dir, ModelFile), err)
	}
	return e, nil
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
		return contract.UserErrorf("EncoderInvalid", "pretraining.from: %s: %w", filepath.Join(dir, ManifestFile), err)
	}
	for _, name := range []string{ModelFile, ConfigFile} {
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
		ImageSize: c.PretrainedCfg.InputSize[1], Features: c.NumFeatures,
	}
	if e.Depth == 0 { // not written by Write: timm's name of the architecture tells
		if n, ok := strings.CutPrefix(c.Architecture, "resnet"); ok {
			e.Depth, _ = strconv.Atoi(n) // resnet50d and the like stay unknown; Check compares the tensors
		}
	}
	return e, nil
}
