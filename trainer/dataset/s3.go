package dataset

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob/s3blob"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// defaultRegion where none is set: AWS's own, and what servers of others are content with.
const defaultRegion = "us-east-1"

const s3Permissions = "the permissions s3:ListBucket and s3:GetObject"

// openS3 opens s3://BUCKET/PREFIX of AWS, or of the endpoint of a server that speaks its protocol.
func openS3(ctx context.Context, spec v1alpha1.DatasetSpec, o Options) (source, error) {
	name, prefix, err := splitBucket(spec.URI, o.Field)
	if err != nil {
		return nil, err
	}
	pool, err := caBundle(spec, o)
	if err != nil {
		return nil, err
	}
	client := awshttp.NewBuildableClient().WithTransportOptions(transportOptions(pool))
	quiet := logging.Nop{} // what fails is in errors
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(client),
		awsconfig.WithLogger(quiet),
		awsconfig.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // try does, for all stores alike
		// Servers of others do not all know the newer checksums; TLS and the length show what is broken.
		awsconfig.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if spec.Region != "" {
		options = append(options, awsconfig.WithRegion(spec.Region))
	}
	r := newRemote(trimSlash(spec.URI), o)
	if spec.Credentials != nil && o.Secrets != "" {
		options = append(options, awsconfig.WithCredentialsProvider(secretKeys{o}))
		r.denied = "correct the Secret that " + o.Field + ".credentials names, or give its user " + s3Permissions
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, contract.UserErrorf("InvalidEnvironment", "%s.uri %s: the AWS configuration: %w; correct the environment or the files that it names", o.Field, spec.URI, err)
	}
	c.Region = cmp.Or(c.Region, defaultRegion)
	if err := s3Credentials(ctx, &c, r); err != nil {
		return nil, err
	}
	api := s3.NewFromConfig(c, func(s *s3.Options) {
		if spec.Endpoint != "" {
			s.BaseEndpoint = &spec.Endpoint
		}
		s.UsePathStyle = s.BaseEndpoint != nil // a server of one name has no host for each bucket
	})
	blobs, err := s3blob.OpenBucket(ctx, api, name, nil)
	if err != nil {
		return nil, contract.UserErrorf("InvalidURI", "%s.uri %s: %w", o.Field, spec.URI, err)
	}
	return &bucket{r, blobs, prefix}, nil
}

// s3Credentials looks for credentials where the AWS tools do, unless a Secret has them. Where there are none, requests
// are anonymous: public buckets need no more.
func s3Credentials(ctx context.Context, c *aws.Config, r *remote) error {
	_, err := c.Credentials.Retrieve(ctx)
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case r.denied != "": // a Secret
		return err
	case err != nil:
		c.Credentials = aws.AnonymousCredentials{}
		r.denied = "no credentials were found: set " + r.field + ".credentials, or, with no cluster, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	default:
		r.denied = "correct the credentials of the environment, or give their user " + s3Permissions
	}
	return nil
}
