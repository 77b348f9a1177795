package dataset

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// The API refuses limits and batch sizes that are larger than a known dataset: by the numbers that are here.
func TestKnownDatasetsAreTheAPIs(t *testing.T) {
	raw, err := os.ReadFile("../../config/crd/training.simclr.dev_simclrruns.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := strings.Join(strings.Fields(string(raw)), " ") // rules are broken into lines
	cifar, _ := Known("cifar-10")
	fashion, _ := Known("fashion-mnist")
	for text, times := range map[string]int{
		fmt.Sprintf("name == ''cifar-10'' ? %d : %d)", cifar.Train, fashion.Train):                           3, // two limits, batchSize
		fmt.Sprintf("fashion-mnist has %d training images and cifar-10 %d; set", fashion.Train, cifar.Train): 2,
		"enum: - fashion-mnist - cifar-10 ":                                                                  2,
	} {
		if got := strings.Count(crd, text); got != times {
			t.Errorf("the CRD has %q %d times, want %d", text, got, times)
		}
	}
	if len(knownDatasets) != 2 {
		t.Errorf("%d known datasets, and the API has 2", len(knownDatasets))
	}
}

// Fashion-MNIST's files are as large as its numbers say: headers of 8 and 16 bytes, 28 × 28 pixels.
func TestKnownNumbersAreTheFiles(t *testing.T) {
	k := knownDatasets["fashion-mnist"]
	side := plan.LongestSide(v1alpha1.DatasetSpec{Name: "fashion-mnist"})
	for split, n := range map[Split]int{Train: k.train, Test: k.test} {
		files := k.files[split]
		if files[0].size != int64(16+n*side*side) || files[1].size != int64(8+n) {
			t.Errorf("%s: %d images and files of %d and %d bytes", split, n, files[0].size, files[1].size)
		}
	}
	if got, ok := Known("cifar-10"); !ok || got.Train+got.Test != 60000 || got.Classes != cifarClasses {
		t.Errorf("cifar-10: %+v", got)
	}
	if _, ok := Known("imagenet"); ok {
		t.Error("imagenet is known")
	}
}
