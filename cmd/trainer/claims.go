package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// claims says which flag names a directory in place of a claim of the spec: with no cluster there are no
// claims, unless somebody has mounted them where a pod has them.
func claims(s *v1alpha1.SimCLRRunSpec, from stage.Sources, encoder string) error {
	type use struct{ field, uri, flag, value string }
	uses := []use{{"dataset.uri", s.Dataset.URI, "--dataset", from.Directory}}
	if s.Evaluation != nil {
		uses = append(uses, use{"evaluation.dataset.uri", s.Evaluation.Dataset.URI, "--evaluation-dataset", from.EvaluationDirectory})
	}
	if f := s.Pretraining.From; f != nil {
		uses = append(uses, use{"pretraining.from.uri", f.URI, "--encoder", encoder})
	}
	for _, u := range uses {
		path, ok := strings.CutPrefix(u.uri, "pvc://")
		if !ok || u.value != "" {
			continue
		}
		claim, _, _ := strings.Cut(path, "/")
		if _, err := os.Stat(filepath.Join(contract.DataDir, claim)); errors.Is(err, fs.ErrNotExist) {
			return contract.UserErrorf("ClaimMissing", "%s %s is on a claim of a cluster; name a directory in its place with %s", u.field, u.uri, u.flag)
		}
	}
	return nil
}
