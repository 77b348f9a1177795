package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// pluginsDir is where accelerators' plugins are in an image, laid out as in their wheels, so that RPATHs hold;
// trainer/engine/xla looks there.
const pluginsDir = "/opt/simclr/pjrt"

// A wheel is a package of PyPI, by its exact file, and what of it goes into an image.
type wheel struct {
	project, version, sha256 string
	files                    []string // path.Match patterns of files in the wheel; licences are always taken
}

// cuda: XLA's plugin, which opens the others at run time. cuFFT, cuSOLVER, cuSPARSE and CUPTI are not among them: XLA opens them
// for FFTs, decompositions, sparse matrices and profiles, of which the trainer's programs have none. NVIDIA's are under its own licence.
var cuda = []wheel{
	{"jax-cuda13-pjrt", "0.11.2", "e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e", []string{"jax_plugins/xla_cuda13/xla_cuda_plugin.so"}},
	{"nvidia-cuda-runtime", "13.5.37", "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d", []string{"nvidia/cu13/lib/libcudart.so.13"}},
	{"nvidia-cublas", "13.10.0.20", "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84", []string{"nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/lib/libcublasLt.so.13"}},
	{"nvidia-cudnn-cu13", "9.28.1.4", "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec", []string{"nvidia/cudnn/lib/libcudnn*.so.9"}},
	{"nvidia-nccl-cu13", "2.32.3", "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3", []string{"nvidia/nccl/lib/libnccl.so.2"}},
	// cuDNN compiles kernels at run time; XLA's go through ptxas and nvJitLink, with libdevice's functions
	{"nvidia-cuda-nvrtc", "13.5.37", "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc", []string{"nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc-builtins.so.*"}},
	{"nvidia-nvjitlink", "13.5.37", "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb", []string{"nvidia/cu13/lib/libnvJitLink.so.13"}},
	{"nvidia-cuda-nvcc", "13.5.37", "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7", []string{"nvidia/cu13/bin/ptxas", "nvidia/cu13/bin/nvlink"}},
	{"nvidia-nvvm", "13.5.37", "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070", []string{"nvidia/cu13/nvvm/libdevice/libdevice.10.bc"}},
}

// tpu: Google's plugin, under the Google Cloud terms of service.
var tpu = []wheel{
	{"libtpu", "0.0.52", "f76ab1f4d697c346371c50058796f6baa93317b89be8cf8a1012715a2655120d", []string{"libtpu/libtpu.so"}},
}

// wheelLayers are a layer a wheel, the plugin's the first, and one of the system's libraries that they need and system lacks. A
// library that is nowhere, or that the dynamic linker would not find, is an error.
func wheelLayers(ctx context.Context, cache string, wheels []wheel, system files) ([]mutate.Addendum, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cache, "unpacked-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var layers []mutate.Addendum
	own := files{}
	if len(wheels) == 0 {
		return nil, nil
	}
	for _, w := range wheels {
		archive, err := w.download(ctx, cache)
		if err != nil {
			return nil, err
		}
		part, err := w.unpack(archive, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", archive, err)
		}
		maps.Copy(own, part)
		l, err := part.storedLayer(filepath.Join(filepath.Dir(archive), "layer.tar.gz"))
		if err != nil {
			return nil, err
		}
		layers = append(layers, named(l, w.project+" "+w.version))
	}
	if err := findable(own, path.Join(pluginsDir, wheels[0].files[0])); err != nil {
		return nil, err
	}
	return withLibraries(layers, own, system)
}

// withLibraries adds a layer of the system's libraries that files need and the image does not have.
func withLibraries(layers []mutate.Addendum, own, system files) ([]mutate.Addendum, error) {
	missing, err := missingLibraries(own, system)
	if err != nil || len(missing) == 0 {
		return layers, err
	}
	l, err := missing.layer()
	return append(layers, named(l, "libraries of Debian's that the plugin needs")), err
}

// download is the wheel's file in cache, by pip, which checks its sum.
func (w wheel) download(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, w.project+"-"+w.version)
	if found, _ := filepath.Glob(dir + "/*.whl"); len(found) == 1 {
		return found[0], nil
	}
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o755)); err != nil {
		return "", err
	}
	list := filepath.Join(part, "requirements.txt")
	line := fmt.Sprintf("%s==%s --hash=sha256:%s\n", w.project, w.version, w.sha256)
	if err := os.WriteFile(list, []byte(line), 0o644); err != nil {
		return "", err
	}
	args := []string{"-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", "3.12"}
	for _, glibc := range []string{"2_17", "2_27", "2_28", "2_31"} {
		args = append(args, "--platform", "manylinux_"+glibc+"_x86_64")
	}
	args = append(args, "--platform", "manylinux2014_x86_64", "--dest", part, "--requirement", list)
	fmt.Fprintf(os.Stderr, "images: downloading %s %s\n", w.project, w.version)
	if text, err := exec.CommandContext(ctx, "python3", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s from PyPI (apt-get install python3-pip?): %w:\n%s", w.project, err, text)
	}
	if err := os.Rename(part, dir); err != nil {
		return "", err
	}
	found, err := filepath.Glob(dir + "/*.whl")
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d wheels, not one", dir, len(found))
	}
	return found[0], nil
}

// unpack writes what is wanted of the wheel into a directory; the files are by their place in the image.
func (w wheel) unpack(archive, dir string) (files, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	all, found := files{}, map[string]bool{}
	for _, entry := range z.File {
		pattern := w.wants(entry.Name)
		if pattern == "" || !filepath.IsLocal(entry.Name) {
			continue
		}
		found[pattern] = true
		to := filepath.Join(dir, entry.Name) //nolint:gosec // it is local
		if err := extract(entry, to); err != nil {
			return nil, err
		}
		all[path.Join(pluginsDir, entry.Name)] = file{from: to, mode: 0o755} //nolint:gosec // it is local
	}
	for _, pattern := range append([]string{metadata}, w.files...) {
		if !found[pattern] {
			return nil, fmt.Errorf("nothing in the wheel is %s", pattern)
		}
	}
	return all, nil
}

// metadata names a wheel's licence.
const metadata = "*.dist-info/METADATA"

// wants is the pattern that a file is wanted by; licences and notices always.
func (w wheel) wants(name string) string {
	for _, pattern := range append([]string{metadata}, w.files...) {
		if ok, _ := path.Match(pattern, name); ok {
			return pattern
		}
	}
	base := strings.ToUpper(path.Base(name))
	if strings.HasPrefix(base, "LICENSE") || strings.Contains(base, "NOTICES") {
		return name
	}
	return ""
}

func extract(entry *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := entry.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) //nolint:gosec // as large as a wheel whose sum is known
	return errors.Join(err, out.Close())
}

// missingLibraries are the system's libraries that a plugin's files need beside system's and their own.
func missingLibraries(own, system files) (files, error) {
	have := map[string]bool{"libcuda.so.1": true} // the driver's, which the node's container runtime brings
	for p := range own {
		have[path.Base(p)] = true
	}
	for p := range system {
		have[path.Base(p)] = true
	}
	var programs []string
	for _, f := range own {
		if isELF(f.from) {
			programs = append(programs, f.from)
		}
	}
	return librariesOf(programs, have)
}

func isELF(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && bytes.Equal(magic[:], []byte("\x7fELF"))
}
