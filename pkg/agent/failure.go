package agent

import "fmt"

// Code is the kind of a [Failure]. The set is closed, so that it can be counted.
type Code string

// The codes, with what to do about each.
const (
	CodeBadParameters    Code = "bad_parameters"    // correct the stage's parameters
	CodeUnknownTemplate  Code = "unknown_template"  // choose one of the templates named
	CodeMissingInput     Code = "missing_input"     // an earlier stage did not hand on what this one needs
	CodeFindings         Code = "findings"          // remove what the audit found
	CodeVetFailed        Code = "vet_failed"        // the sources could not be analysed
	CodeTestsFailed      Code = "tests_failed"      // correct the tests or what they test
	CodeNoTests          Code = "no_tests"          // write tests
	CodeLowCoverage      Code = "low_coverage"      // write more tests
	CodeBuildFailed      Code = "build_failed"      // the sources do not compile
	CodeUnhealthy        Code = "unhealthy"         // the release did not answer its health check
	CodeTimeout          Code = "timeout"           // raise TOOL_TIMEOUT or do less
	CodeMemoryLimit      Code = "memory_limit"      // raise TOOL_MEMORY or use less
	CodeProcessLimit     Code = "process_limit"     // raise TOOL_PROCESSES or start fewer
	CodeOutputLimit      Code = "output_limit"      // raise TOOL_OUTPUT or print less
	CodeToolFailed       Code = "tool_failed"       // the tool says what
	CodeBadResult        Code = "bad_result"        // the tool broke its contract
	CodeArtifactMissing  Code = "artifact_missing"  // the agents do not share an ARTIFACT_URL
	CodeArtifactMismatch Code = "artifact_mismatch" // the stored bytes are not those that were handed on
	CodeCancelled        Code = "cancelled"         // somebody asked for it
	CodeAgentUnavailable Code = "agent_unavailable" // start the agent: nobody accepted the request
	CodeInfrastructure   Code = "infrastructure"    // the agent's own trouble, see its log
)

// known are the codes a user's command may answer with; others become tool_failed.
var known = map[Code]bool{
	CodeBadParameters: true, CodeUnknownTemplate: true, CodeMissingInput: true, CodeFindings: true,
	CodeVetFailed: true, CodeTestsFailed: true, CodeNoTests: true, CodeLowCoverage: true,
	CodeBuildFailed: true, CodeUnhealthy: true, CodeToolFailed: true,
}

// Failure is a stage's answer "no": the work was done, or refused, for a reason
// that a person can act on. Artifacts and summary of the [Result] beside it are
// stored and handed on like those of a success: they show why.
type Failure struct {
	Code      Code
	Reason    string // a sentence: what is wrong, and what to do
	Retryable bool   // the same request may succeed another time
}

func (f *Failure) Error() string { return string(f.Code) + ": " + f.Reason }

func failf(code Code, format string, args ...any) *Failure {
	return &Failure{Code: code, Reason: fmt.Sprintf(format, args...)}
}
