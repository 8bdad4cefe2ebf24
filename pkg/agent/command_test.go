package agent

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func command(script string) *Command {
	return &Command{Args: []string{"/bin/sh", "-c", script}, Runner: &Runner{}}
}

func TestCommandAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		script  string
		summary string
		code    Code // "" is a success
		reason  string
		retry   bool
	}{
		"last line of stdout":   {`echo working; echo '{"summary":{"n":1}}'`, `{"n":1}`, "", "", false},
		"progress after it":     {`echo '{"summary":{"n":1}}'; echo '{"progress":100}'`, `{"n":1}`, "", "", false},
		"result.json":           {`echo '{"summary":{"n":2}}' > result.json; echo noise`, `{"n":2}`, "", "", false},
		"no":                    {`echo '{"summary":{"n":3},"failure":{"code":"findings","reason":"a key"}}'; exit 1`, `{"n":3}`, CodeFindings, "a key", false},
		"no with status 0":      {`echo '{"failure":{"code":"tests_failed","reason":"one","retryable":true}}'`, "", CodeTestsFailed, "one", true},
		"code of its own":       {`echo '{"failure":{"code":"moon","reason":"full"}}'`, "", CodeToolFailed, "moon: full", false},
		"exit status":           {`echo why >&2; exit 2`, "", CodeToolFailed, "exit status 2: why", false},
		"temporary":             {`echo busy >&2; exit 75`, "", CodeToolFailed, "busy", true},
		"killed":                {`kill -9 $$`, "", CodeToolFailed, "signal: killed", false},
		"silent":                {`true`, "", CodeBadResult, "stdout is empty", false},
		"not JSON":              {`echo done`, "", CodeBadResult, `"done" is not a JSON object`, false},
		"unknown field":         {`echo '{"sumary":{}}'`, "", CodeBadResult, "sumary", false},
		"summary is a list":     {`echo '{"summary":[1]}'`, "", CodeBadResult, "summary must be an object", false},
		"result.json leads out": {`ln -s /etc/passwd result.json`, "", CodeBadResult, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := command(tc.script).Run(t.Context(), newTask(t))
			if summary, _ := json.Marshal(result.Summary); tc.summary != "" && string(summary) != tc.summary {
				t.Errorf("summary is %s, want %s", summary, tc.summary)
			}
			if tc.code == "" {
				if err != nil {
					t.Errorf("error is %v", err)
				}
				return
			}
			f := wantFailure(t, err, tc.code)
			if !strings.Contains(f.Reason, tc.reason) || f.Retryable != tc.retry {
				t.Errorf("failure is %+v, want %q in it, retryable %v", f, tc.reason, tc.retry)
			}
		})
	}
}

func TestCommandReadsItsTask(t *testing.T) {
	task := newTask(t)
	task.Parameters = json.RawMessage(`{"a":1}`)
	task.Inputs = []Input{{Name: "source", Path: "/x", MediaType: MediaTypeTree, SHA256: "d"}}
	if _, err := command(`cat > stdin.json; echo '{}'`).Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	want := `{"workflow_id":"wf-1","stage":"audit","correlation_id":"` + task.CorrelationID + `","attempt":1,"parameters":{"a":1},` +
		`"inputs":[{"name":"source","path":"/x","media_type":"` + MediaTypeTree + `","sha256":"d"}]}`
	for _, name := range []string{"stdin.json", "task.json"} {
		if got, err := os.ReadFile(filepath.Join(task.Workspace, name)); err != nil || string(got) != want {
			t.Errorf("%s is %s, error %v; want %s", name, got, err, want)
		}
	}
}

func TestCommandReportsProgress(t *testing.T) {
	task, r := newTask(t), &reports{}
	task.Report = r.add
	if _, err := command(`echo '{"progress":40,"message":"half"}' >&2; sleep 0.1; echo '{"progress":250}'; echo '{}'`).Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if want := []string{`[40,"half"]`, `[100,""]`}; !slices.Equal(r.seen, want) {
		t.Errorf("reported %v, want %v", r.seen, want)
	}
}

func TestArgv(t *testing.T) {
	for value, want := range map[string][]string{
		`/bin/tool --flag x`:        {"/bin/tool", "--flag", "x"},
		`["/bin/tool","two words"]`: {"/bin/tool", "two words"},
		``:                          nil,
	} {
		var a Argv
		if err := a.Decode(value); err != nil || !slices.Equal(a, want) {
			t.Errorf("%q gives %q, %v", value, a, err)
		}
	}
	for _, value := range []string{`sh -c "a b"`, `["a"`, `[]`, `[""]`, `[1]`} {
		if err := new(Argv).Decode(value); err == nil || !strings.Contains(err.Error(), "JSON array") {
			t.Errorf("%q gives %v", value, err)
		}
	}
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"summary":{"n":1},"artifacts":[{"name":"a","path":"b"}],"failure":{"code":"findings","reason":"x"}}`))
	f.Add([]byte(`{"summary":null}`))
	f.Add([]byte(`{}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReply(data)
		if err != nil {
			return
		}
		result, err := r.result()
		if _, marshalErr := json.Marshal(result.Summary); marshalErr != nil {
			t.Fatalf("the summary cannot be written: %v", marshalErr)
		}
		var f *Failure
		if err != nil && !errors.As(err, &f) {
			t.Fatalf("%v is no Failure", err)
		}
		if f != nil {
			wantFailure(t, err, f.Code)
		}
	})
}
