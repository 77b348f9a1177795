package v1alpha1

// SetDefaults fills what the API server defaults by the schema: the first of the two steps, for a run
// that comes from a file. test/envtest checks that both agree.
func SetDefaults(run *SimCLRRun) {
	s := &run.Spec
	fill(&s.Dataset.Labels, LabelsFromFormat)
	if s.Evaluation != nil {
		fill(&s.Evaluation.Dataset.Labels, LabelsFromFormat)
	}
	fill(&s.Encoder.Depth, 18)
	fill(&s.Encoder.WidthMultiplier, "1")
	fill(&s.Encoder.Shortcut, "Torchvision")
	fill(&s.Encoder.SelectiveKernel, Disabled)
	fill(&s.Encoder.Initialization, "Reference")
	fill(&s.ProjectionHead.Type, HeadNonLinear)
	fillPointer(&s.Pretraining.Epochs, 100)
	fill(&s.Pretraining.Optimizer, "LARS")
	fill(&s.Pretraining.Precision, FP32)
	fill(&s.Pretraining.Convolutions, Winograd)
	fillPointer(&s.Pretraining.Seed, 0)
	fill(&s.KNN.Neighbors, 200)
	fillPointer(&s.KNN.EveryEpochs, 10)
	fill(&s.KNN.OnlineImages, 10000)
	fill(&s.KNN.Temperature, "0.1")
	fill(&s.LinearEvaluation.Method, LinearSGD)
	fill(&s.LinearEvaluation.Features, FeaturesEncoder)
	for i := range s.Finetuning {
		fill(&s.Finetuning[i].From, FromPretrained)
		fill(&s.Finetuning[i].Features, FeaturesEncoder)
	}
	fill(&s.Accelerator.Type, CPU)
	fill(&s.Checkpoint.IntervalSeconds, 300)
	fill(&s.Checkpoint.Keep, 2)
	fillPointer(&s.RestartPolicy.MaxRestarts, 3)
	fillPointer(&s.RestartPolicy.BackoffSeconds, 10)
	fillPointer(&s.ProgressDeadlineSeconds, 1800)
}

// fill sets a field that is not set.
func fill[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}

// fillPointer sets a field whose zero value means something.
func fillPointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
