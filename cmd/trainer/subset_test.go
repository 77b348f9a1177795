package main

import (
	"path/filepath"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// A list of labels is planned and trained on; a wrong one shows before pretraining.
func TestLabelSubset(t *testing.T) {
	images := generated(t, 2, 8, 4)
	files, err := filepath.Glob(filepath.Join(images, "train", "class1", "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	list := ""
	for _, f := range files[:3] {
		list += "class1/" + filepath.Base(f) + "\n"
	}
	other, err := filepath.Glob(filepath.Join(images, "train", "class0", "*"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(images, "subsets", "few.txt"), list+"class0/"+filepath.Base(other[0])+"\n")
	write(t, filepath.Join(images, "subsets", "wrong.txt"), list+"n0.JPEG\n")
	run := func(file string) string {
		return runFile(t, "  pretraining: {epochs: 1}\n  linearEvaluation: {mode: Disabled}\n  finetuning: [{name: few, labelSubset: {file: subsets/"+file+"}, epochs: 1}]\n")
	}
	trainer(t, "plan", "-f", run("few.txt"), "--dataset", images).
		wants(t, contract.ExitDone, "few uses 4 labels of subsets/few.txt, 1 to 3 of each of 2 classes")
	trainer(t, "run", "-f", run("few.txt"), "--dataset", images, "-o", filepath.Join(t.TempDir(), "out")).
		wants(t, contract.ExitDone, "on 4 labels")
	trainer(t, "run", "-f", run("wrong.txt"), "--dataset", images, "-o", filepath.Join(t.TempDir(), "out")).
		wants(t, contract.ExitUserError, "finetuning[few].labelSubset.file", "1 of its 4 names", "n0.JPEG")
}
