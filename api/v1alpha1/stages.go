package v1alpha1

// The names of the stages that every run may have; finetuning stages are named by their entries.
const (
	StagePretrain   = "pretrain"
	StageLinearEval = "linear-eval"
)

// StageNames are the stages of a resolved spec, in the order in which they run. The pretrain stage is
// always there: with pretraining.from it takes the encoder over instead of training one, so that
// every run's output has an encoder/.
func (s *SimCLRRunSpec) StageNames() []string {
	names := []string{StagePretrain}
	if s.LinearEvaluation.Mode == Enabled {
		names = append(names, StageLinearEval)
	}
	for _, f := range s.Finetuning {
		names = append(names, f.Name)
	}
	return names
}
