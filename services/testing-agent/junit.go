package main

import (
	"fmt"
	"io"
	"os"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/jstemmer/go-junit-report/v2/parser/gotest"
)

// writeJUnit turns the events of go test -json into JUnit XML.
func writeJUnit(path string, events io.Reader) error {
	report, err := gotest.NewJSONParser().Parse(events)
	if err != nil {
		return fmt.Errorf("read the events of go test: %w", err)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	suites := junit.CreateFromReport(report, "")
	if err := suites.WriteXML(out); err != nil {
		_ = out.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return out.Close()
}
