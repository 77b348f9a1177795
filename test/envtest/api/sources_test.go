package api_test

const (
	s3  = `uri: "s3://bucket.x/a b/c", format: ImageFolder, name: null`
	gs  = `uri: "gs://my_bucket", format: ImageFolder, name: null`
	web = `uri: "https://host:8443/x", format: CIFAR, name: null`
)

// sourceRules are those of where a dataset's files are. of is a run with a dataset of these fields.
func sourceRules(of func(fields string) string) map[string]rule {
	return map[string]rule{
		"scheme": {of(s3), of(`name: null, format: IDX, uri: "ftp://host/x"`),
			"uri: must be pvc://CLAIM/PATH, where CLAIM is the name of a PersistentVolumeClaim, s3://BUCKET/PATH, gs://BUCKET/PATH or https://HOST/PATH, without a user and a query"},
		"bucket":  {of(gs), of(`name: null, format: IDX, uri: "s3:///x"`), "uri: must be pvc://CLAIM/PATH"},
		"query":   {of(s3), of(`name: null, format: IDX, uri: "s3://bucket/x?region=eu-west-1"`), "without a user and a query"},
		"user":    {of(web), of(`name: null, format: IDX, uri: "https://me:word@host/x"`), "without a user and a query"},
		"path":    {of(s3), of(`name: null, format: IDX, uri: "s3://bucket/a/../b"`), "uri: its path must not have a part '..'"},
		"listing": {of(web), of(`name: null, format: ImageFolder, uri: "https://host/x"`), "dataset.format: ImageFolder and Images need a folder that can be listed"},
		"credentials of the web": {of(gs + `, credentials: {name: a.b}`), of(web + `, credentials: {name: a}`),
			"dataset.credentials: is only for uri s3://BUCKET/PATH and gs://BUCKET/PATH; remove it"},
		"credentials of a claim": {of(s3 + `, credentials: {name: a}`), of(`uri: pvc://c/d, format: IDX, name: null, credentials: {name: a}`),
			"dataset.credentials: is only for uri"},
		"endpoint": {of(s3 + `, endpoint: "https://minio:9000"`), of(gs + `, endpoint: "https://minio:9000"`),
			"dataset.endpoint: is only for uri s3://BUCKET/PATH; remove it"},
		"endpoint's scheme": {of(s3 + `, endpoint: "http://[::1]:9000/"`), of(s3 + `, endpoint: "minio:9000"`),
			"endpoint: must be https://HOST or https://HOST:PORT (or http), without a path"},
		"endpoint's path": {of(s3 + `, endpoint: "https://minio"`), of(s3 + `, endpoint: "https://minio/bucket"`), "endpoint: must be https://HOST"},
		"region":          {of(s3 + `, region: eu-west-1`), of(`name: cifar-10, region: eu-west-1`), "dataset.region: is only for uri s3://BUCKET/PATH; remove it"},
		"CA bundle": {of(web + `, caBundle: {kind: ConfigMap, name: ca}`), of(gs + `, caBundle: {kind: ConfigMap, name: ca}`),
			"dataset.caBundle: is only for uri s3://BUCKET/PATH and https://HOST/PATH; remove it"},
		"CA bundle by HTTP": {of(s3 + `, caBundle: {kind: Secret, name: ca, key: tls.crt}`), of(`uri: "http://host/x", format: CIFAR, name: null, caBundle: {kind: Secret, name: ca}`),
			"dataset.caBundle: is only for uri"},
	}
}
