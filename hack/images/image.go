package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// A recipe says what an image is made of.
type recipe struct {
	title   string
	module  string // the folder of the program's module, relative to the repository's root; "": that itself
	pkg     string // the program's package
	program string // its name
	dir     string // where it is; "": /usr/local/bin
	cgo     bool   // the program needs shared libraries
	base    bool   // users, certificates, /tmp
	wheels  []wheel
	plugin  string // a PJRT plugin that `make pjrt` fetched, relative to the repository's root
	env     []string
}

// quiet keeps go-xla from looking for plugins in the system's places, and from saying that an image has none, at every start: those
// of an image are found by their paths.
var quiet = []string{"PJRT_PLUGIN_LIBRARY_PATH="}

var recipes = map[string]recipe{
	"pause":          {title: "pause", module: "hack/images", pkg: "./pause", program: "pause"},
	"manager":        {title: "simclr-operator's manager", pkg: "./cmd/manager", program: "manager", base: true},
	"jobset":         {title: "JobSet's controller, for the local cluster", module: "hack/tools/jobset", pkg: "sigs.k8s.io/jobset", program: "manager", dir: "/", base: true},
	"kueue":          {title: "Kueue's manager, for tests", module: "hack/tools/kueue", pkg: "sigs.k8s.io/kueue/cmd/kueue", program: "manager", dir: "/", base: true},
	"simclr-trainer": {title: "simclr-operator's trainer on CPUs", pkg: "./cmd/trainer", program: "simclr-trainer", cgo: true, base: true, env: quiet},
	"simclr-trainer-cuda": {
		title: "simclr-operator's trainer on NVIDIA GPUs", pkg: "./cmd/trainer", program: "simclr-trainer", cgo: true, base: true, wheels: cuda,
		env: append([]string{
			"NVIDIA_DRIVER_CAPABILITIES=compute,utility",
			"LD_LIBRARY_PATH=/usr/local/nvidia/lib64", // where GKE mounts the driver
			"XLA_FLAGS=--xla_gpu_cuda_data_dir=" + pluginsDir + "/nvidia/cu13",
		}, quiet...),
	},
	"simclr-trainer-tpu": {
		title: "simclr-operator's trainer on TPUs", pkg: "./cmd/trainer", program: "simclr-trainer", cgo: true, base: true, wheels: tpu,
		// On GKE, pods have libtpu's TPU_* variables; else it asks a virtual machine's metadata server for each, half a minute long
		// where there is none, before it says that there is no TPU.
		env: append([]string{"TPU_SKIP_MDS_QUERY=1"}, quiet...),
	},
	"simclr-trainer-xla-cpu": {
		title: "simclr-operator's trainer on XLA's backend for CPUs, for tests", pkg: "./cmd/trainer", program: "simclr-trainer", cgo: true, base: true,
		plugin: "build/pjrt/pjrt_c_api_cpu_plugin.so", env: append([]string{"SIMCLR_PJRT_PLUGIN=" + pluginsDir + "/cpu.so"}, quiet...),
	},
}

func imageNames() []string { return slices.Sorted(maps.Keys(recipes)) }

const binDir = "/usr/local/bin"

func assemble(ctx context.Context, repository, name string) (v1.Image, error) {
	r, ok := recipes[name]
	if !ok {
		return nil, fmt.Errorf("no such image; there are %s", strings.Join(imageNames(), ", "))
	}
	program, cleanup, err := compile(ctx, repository, r)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	layers, err := r.layers(ctx, repository, program)
	if err != nil {
		return nil, err
	}
	img, err := mutate.Append(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, r.config(img))
}

// named is a layer whose contents the image's history names.
func named(l v1.Layer, what string) mutate.Addendum {
	return mutate.Addendum{Layer: l, History: v1.History{CreatedBy: what}}
}

// layers of the image, what changes least first, so that images share what they can.
func (r recipe) layers(ctx context.Context, repository, program string) ([]mutate.Addendum, error) {
	var layers []mutate.Addendum
	add := func(what string, files files) error {
		l, err := files.layer()
		layers = append(layers, named(l, what))
		return err
	}
	if r.base {
		base, err := baseFiles()
		if err != nil {
			return nil, err
		}
		if err := add("users, certificates, /tmp", base); err != nil {
			return nil, err
		}
	}
	if r.cgo {
		libraries, err := libraryFiles(program)
		if err != nil {
			return nil, err
		}
		if err := add("libraries of Debian's", libraries); err != nil {
			return nil, err
		}
		plugins, err := r.plugins(ctx, repository, libraries)
		if err != nil {
			return nil, err
		}
		layers = append(layers, plugins...)
	}
	return layers, add(r.program, files{r.path(): {from: program, mode: 0o755}})
}

// plugins are the layers of the accelerators' plugins, and of the system's libraries that only they need.
func (r recipe) plugins(ctx context.Context, repository string, libraries files) ([]mutate.Addendum, error) {
	if r.plugin == "" {
		return wheelLayers(ctx, filepath.Join(repository, "build/wheels"), r.wheels, libraries)
	}
	from := filepath.Join(repository, r.plugin)
	own := files{pluginsDir + "/cpu.so": {from: from, mode: 0o755}}
	l, err := own.storedLayer(from + ".layer.tar.gz")
	if err != nil {
		return nil, fmt.Errorf("make pjrt: %w", err)
	}
	return withLibraries([]mutate.Addendum{named(l, filepath.Base(r.plugin))}, own, libraries)
}

// licences of the image in SPDX's words.
func (r recipe) licences() string {
	if len(r.wheels) > 0 {
		return "Apache-2.0 AND LicenseRef-of-the-plugins-under-" + strings.ReplaceAll(strings.TrimPrefix(pluginsDir, "/"), "/", "-")
	}
	return "Apache-2.0"
}

// path of the program in the image.
func (r recipe) path() string {
	if r.dir != "" {
		return path.Join(r.dir, r.program)
	}
	return binDir + "/" + r.program
}

// config has no time but the epoch's, so that the digest depends on the contents alone.
func (r recipe) config(img v1.Image) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		c = &v1.ConfigFile{}
	}
	c = c.DeepCopy()
	c.Architecture, c.OS = runtime.GOARCH, "linux"
	c.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	c.Config = v1.Config{
		Entrypoint: []string{r.path()},
		Env:        append([]string{"PATH=" + binDir + ":/usr/bin:/bin"}, r.env...),
		User:       "65532:65532",
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    r.title,
			"org.opencontainers.image.source":   "https://github.com/simclr-operator/simclr-operator",
			"org.opencontainers.image.licenses": r.licences(),
		},
	}
	return c
}

// compile builds the recipe's program into a temporary directory.
func compile(ctx context.Context, repository string, r recipe) (string, func(), error) {
	dir, err := os.MkdirTemp("", "simclr-image-")
	if err != nil {
		return "", nil, err
	}
	cleanup := func() { _ = os.RemoveAll(dir) }
	out := filepath.Join(dir, r.program)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, r.pkg)
	cmd.Dir = filepath.Join(repository, r.module)
	cgo := "0"
	if r.cgo {
		cgo = "1"
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	fmt.Fprintf(os.Stderr, "images: building %s\n", r.program)
	if text, err := cmd.CombinedOutput(); err != nil {
		cleanup()
		return "", nil, fmt.Errorf("%w:\n%s", err, text)
	}
	return out, cleanup, nil
}
