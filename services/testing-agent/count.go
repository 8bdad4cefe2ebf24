package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxExcerpt bounds what is kept of one test's output, in bytes.
const maxExcerpt = 2 << 10

// event is a line of go test -json, see go doc cmd/test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output, instead of Package
	Test        string
	Output      string
	FailedBuild string
}

// testID names a test; Test is empty for the package itself.
type testID struct{ pkg, test string }

func (id testID) String() string {
	if id.test == "" {
		return id.pkg
	}
	return id.pkg + " " + id.test
}

// tally counts tests, subtests included, as they end. Not for concurrent use.
type tally struct {
	passed, failed, skipped int
	ended                   int // tests that are not subtests

	running []testID          // begun and not ended
	failing []testID          // tests and packages, in the order they failed
	builds  []string          // import paths that do not compile
	output  map[testID]string // the beginning of what the unfinished and the failing printed
}

func newTally() *tally { return &tally{output: map[testID]string{}} }

// add takes one line; anything that is not an event is ignored and reported false.
func (c *tally) add(line []byte) bool {
	var e event
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Action == "" {
		return false
	}
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			id.pkg = e.ImportPath
		}
		if kept := c.output[id]; len(kept) < maxExcerpt && !noise(e.Output) {
			c.output[id] = kept + e.Output[:min(len(e.Output), maxExcerpt-len(kept))]
		}
	case "run":
		c.running = append(c.running, id)
	case "build-fail":
		c.builds = append(c.builds, e.ImportPath)
	case "pass", "skip":
		delete(c.output, id)
		if e.Test != "" {
			c.end(e, map[string]*int{"pass": &c.passed, "skip": &c.skipped}[e.Action])
		}
	case "fail":
		if e.Test != "" {
			c.end(e, &c.failed)
		} else {
			c.abandon(e.Package)
		}
		if e.Test != "" || e.FailedBuild == "" && !c.blamed(e.Package) {
			c.failing = append(c.failing, id)
		}
	}
	return true
}

// abandon counts tests that were running when their package's program ended, as it
// does when the time is up, as failed.
func (c *tally) abandon(pkg string) {
	for _, id := range slices.Clone(c.running) {
		if id.pkg == pkg {
			c.end(event{Package: id.pkg, Test: id.test}, &c.failed)
			c.failing = append(c.failing, id)
		}
	}
}

func (c *tally) end(e event, counter *int) {
	*counter++
	c.running = slices.DeleteFunc(c.running, func(id testID) bool { return id == testID{e.Package, e.Test} })
	if !strings.Contains(e.Test, "/") {
		c.ended++
	}
}

// blamed reports whether a test of the package failed, so that the package need
// not be named for itself.
func (c *tally) blamed(pkg string) bool {
	return slices.ContainsFunc(c.failing, func(id testID) bool { return id.pkg == pkg })
}

// noise are the lines that go test frames tests with.
func noise(line string) bool {
	text := strings.TrimSpace(line)
	for _, prefix := range []string{"=== ", "--- ", "FAIL\t", "ok  \t", "coverage:", "# "} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return text == "" || text == "FAIL" || text == "PASS"
}

// leaves are the failing tests without those that fail because a subtest does.
func (c *tally) leaves() []testID {
	var list []testID
	for _, id := range c.failing {
		parent := slices.ContainsFunc(c.failing, func(o testID) bool {
			return o.pkg == id.pkg && id.test != "" && strings.HasPrefix(o.test, id.test+"/")
		})
		if !parent {
			list = append(list, id)
		}
	}
	return list
}

// excerpt is what a failing test printed, or else the test around it.
func (c *tally) excerpt(id testID) string {
	for {
		if text := strings.TrimSpace(c.output[id]); text != "" {
			return text
		}
		i := strings.LastIndexByte(id.test, '/')
		if i < 0 {
			return "it printed nothing"
		}
		id.test = id.test[:i]
	}
}

// reason tells of the first few failures; the report has all.
func (c *tally) reason() string {
	const named = 3
	leaves := c.leaves()
	var told []string
	for _, id := range leaves[:min(named, len(leaves))] {
		told = append(told, fmt.Sprintf("%s: %s", id, shorten(c.excerpt(id), 400)))
	}
	more := ""
	if n := len(leaves) - named; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	return fmt.Sprintf("%d of %d tests failed: %s%s; correct them or what they test, see %s",
		max(c.failed, len(leaves)), max(c.passed+c.failed+c.skipped, len(leaves)), strings.Join(told, "; "), more, reportName)
}

// shorten puts text on one line of at most n bytes.
func shorten(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") + "..."
	}
	return text
}
