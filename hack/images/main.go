// Command images assembles the project's container images without Docker, so that the same sources give the same digests.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/spf13/cobra"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return root().ExecuteContext(ctx)
}

type options struct {
	repository string // the root of the project's checkout
	tag        string
	twice      bool
	start      bool
}

func root() *cobra.Command {
	o := options{}
	cmd := &cobra.Command{
		Use:           "images",
		Short:         "Build the container images without Docker: " + strings.Join(imageNames(), ", "),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&o.repository, "repository", "../..", "root of the project's checkout")
	cmd.PersistentFlags().BoolVar(&o.twice, "twice", false, "assemble each image once more; another digest is an error")
	cmd.PersistentFlags().BoolVar(&o.start, "start", false, "run simclr-trainer devices in each trainer's image, as a pod would (root)")
	cmd.PersistentFlags().StringVar(&o.tag, "tag", "dev", "tag of the images")
	cmd.AddCommand(buildCommand(&o), pushCommand(&o))
	return cmd
}

func buildCommand(o *options) *cobra.Command {
	var output, registry string
	cmd := &cobra.Command{
		Use:   "build --output DIR NAME...",
		Short: "Write DIR/NAME.tar, which `ctr images import` and `docker load` read, and print its digest",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := os.MkdirAll(output, 0o755); err != nil {
				return err
			}
			return each(cmd.Context(), *o, registry, names, func(ref name.Tag, img v1.Image) error {
				base := filepath.Base(ref.RepositoryStr())
				return tarball.WriteToFile(filepath.Join(output, base+".tar"), ref, img)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "directory of the archives (required)")
	cmd.Flags().StringVar(&registry, "registry", "simclr.local", "registry in the images' names")
	_ = cmd.MarkFlagRequired("output")
	return cmd
}

func pushCommand(o *options) *cobra.Command {
	var registry string
	cmd := &cobra.Command{
		Use:   "push --registry HOST/PATH NAME...",
		Short: "Build and push, with the credentials of `docker login` or podman; plain HTTP to localhost",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return each(cmd.Context(), *o, registry, names, func(ref name.Tag, img v1.Image) error {
				return push(cmd.Context(), ref, img)
			})
		},
	}
	cmd.Flags().StringVar(&registry, "registry", "", "where to push, as ghcr.io/you (required)")
	_ = cmd.MarkFlagRequired("registry")
	return cmd
}

// each builds the named images, hands each to use, and prints its reference, digest and sizes.
func each(ctx context.Context, o options, registry string, names []string, use func(name.Tag, v1.Image) error) error {
	for _, n := range names {
		ref, err := name.NewTag(registry + "/" + n + ":" + o.tag)
		if err != nil {
			return err
		}
		img, err := assemble(ctx, o.repository, n)
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		if err := use(ref, img); err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		if err := report(os.Stdout, ref, img); err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		if o.start {
			if err := start(ctx, os.Stdout, img); err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
		}
		if o.twice {
			if err := again(ctx, o.repository, n, img); err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
		}
	}
	return nil
}

// again assembles an image once more: another digest is an error.
func again(ctx context.Context, repository, image string, first v1.Image) error {
	want, err := first.Digest()
	if err != nil {
		return err
	}
	second, err := assemble(ctx, repository, image)
	if err != nil {
		return err
	}
	got, err := second.Digest()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("built twice, its digests are %s and %s", want, got)
	}
	fmt.Println("  built twice, the same digest")
	return nil
}
