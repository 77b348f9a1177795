package dataset

import (
	"maps"
	"slices"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// known is a dataset that is downloaded by name.
type known struct {
	format v1alpha1.DatasetFormat
	// bases are where upstream publishes the files, tried in order; a mirror replaces them.
	bases []string
	files map[Split][]remoteFile
	// classes are what upstream's documentation calls the labels.
	classes []string
	// train and test are how many images there are, as many of each class.
	train, test int
}

// Known are the numbers of a known dataset, which has as many images of every class.
func Known(name string) (plan.Dataset, bool) {
	k, ok := knownDatasets[name]
	return plan.Dataset{Train: k.train, Test: k.test, Classes: len(k.classes)}, ok
}

// remoteFile is a file of a known dataset.
type remoteFile struct {
	name string
	// size and sha256 are of the content: of a .gz file uncompressed, because Debian and others
	// compress it again, with another header.
	size   int64
	sha256 string
	// whole: the checksum is of the file as it is, although its name ends with .gz.
	whole bool
}

// knownDatasets. The sums of Fashion-MNIST are those of upstream's files uncompressed
// (MD5 f4a8712d…, 9018921c…, 8181f547…, 15d48437… in torchvision-like lists); CIFAR-10's is the sum of
// the published archive, as in the TensorFlow datasets' registry.
var knownDatasets = map[string]known{
	"fashion-mnist": {
		train:  60000,
		test:   10000,
		format: v1alpha1.FormatIDX,
		bases: []string{
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
			"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
		},
		files: map[Split][]remoteFile{
			Train: {
				{name: "train-images-idx3-ubyte.gz", size: 47040016, sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
				fashionLabels,
			},
			Test: {
				{name: "t10k-images-idx3-ubyte.gz", size: 7840016, sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
				{name: "t10k-labels-idx1-ubyte.gz", size: 10008, sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
				fashionLabels, // which say what the classes are
			},
		},
		classes: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
	},
	"cifar-10": {
		train:  50000,
		test:   10000,
		format: v1alpha1.FormatCIFAR,
		bases:  []string{"https://www.cs.toronto.edu/~kriz"},
		files: map[Split][]remoteFile{
			Train: {cifarArchive},
			Test:  {cifarArchive},
		},
		classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
	},
}

var fashionLabels = remoteFile{name: "train-labels-idx1-ubyte.gz", size: 60008, sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"}

var cifarArchive = remoteFile{name: cifarArchiveName, size: 170052171, sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", whole: true}

// lookUp a known dataset; a name that is not known is a user error that lists those that are.
func lookUp(name, field string) (known, error) {
	k, ok := knownDatasets[name]
	if !ok {
		names := slices.Sorted(maps.Keys(knownDatasets))
		return known{}, contract.UserErrorf("UnknownDataset", "%s.name %q is not known; set it to %s, or set uri and format", field, name, strings.Join(names, " or "))
	}
	return k, nil
}

// urls of a file: the mirror's, or upstream's.
func (k known) urls(mirror, name string, f remoteFile) []string {
	if mirror != "" {
		return []string{strings.TrimRight(mirror, "/") + "/" + name + "/" + f.name}
	}
	var urls []string
	for _, base := range k.bases {
		urls = append(urls, base+"/"+f.name)
	}
	return urls
}
