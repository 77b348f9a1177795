package controllers

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// resolveSource replaces pretraining.from.run by the URI of that run's encoder, so that the run depends
// on the encoder's files alone from then on.
func (r *Reconciler) resolveSource(ctx context.Context, run *v1alpha1.SimCLRRun) error {
	from := run.Spec.Pretraining.From
	if from == nil || from.Run == "" {
		return nil
	}
	var source v1alpha1.SimCLRRun
	err := r.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: from.Run}, &source)
	switch {
	case apierrors.IsNotFound(err):
		return blockf(reasonEncoderSourceNotFound, "pretraining.from.run: there is no SimCLRRun %s in namespace %s: create it, or make a new run with pretraining.from.uri", from.Run, run.Namespace)
	case err != nil:
		return err
	case source.Status.Encoder != nil && source.Status.Encoder.URI != "":
		run.Spec.Pretraining.From = &v1alpha1.EncoderSource{URI: source.Status.Encoder.URI}
		return nil
	case finished(&source):
		return blockf(reasonEncoderSourceNotReady, "pretraining.from.run: SimCLRRun %s has ended without an encoder: delete it and make it again", from.Run)
	}
	return waitf(reasonEncoderSourceNotReady, "pretraining.from.run: waiting for the pretrain stage of SimCLRRun %s", from.Run)
}
