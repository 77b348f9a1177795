// Package controllers is the operator: it decides where and when a SimCLRRun's stages run, one
// batch/v1 Job an attempt, and tells in the run's status what it sees. The trainer decides how.
//
// Reconcile loads a run and what belongs to it into a scope, runs an ordered list of sub-reconcilers
// over that scope, each one concern in a file of its own, and writes the status once.
package controllers
