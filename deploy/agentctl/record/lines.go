package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// Lines are the event ids of a workflow in the log-aggregator's output, file by file.
func Lines(workflowID string, files ...string) ([]string, error) {
	var ids []string
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		err = eachLine(f, func(text []byte) {
			// Its own log stands in the same file; only lines of events have these two.
			var line struct {
				WorkflowID string `json:"workflow_id"`
				EventID    string `json:"event_id"`
			}
			if bytes.Contains(text, []byte(workflowID)) && json.Unmarshal(text, &line) == nil && line.WorkflowID == workflowID && line.EventID != "" {
				ids = append(ids, line.EventID)
			}
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// eachLine has no limit on a line's length: an event has up to 1 MiB.
func eachLine(in io.Reader, do func([]byte)) error {
	reader := bufio.NewReader(in)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // what has no end yet is still being written
		}
		if err != nil {
			return err
		}
		do(line)
	}
}
