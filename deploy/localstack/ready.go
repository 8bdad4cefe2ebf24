package localstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// story is what a process has logged since its start, as far as the stack needs it.
type story struct {
	path    string
	at      int64 // what of the file was read
	rest    string
	listens map[string]string // setting -> address
	failure string            // the last error, or the last line that is no JSON
}

// read takes in what is new in the file.
func (s *story) read() {
	f, err := os.Open(s.path)
	if err != nil {
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, s.at, 16<<20))
	if err != nil {
		return
	}
	s.at += int64(len(data))
	lines := strings.Split(s.rest+string(data), "\n")
	s.rest = lines[len(lines)-1]
	for _, text := range lines[:len(lines)-1] {
		s.take(text)
	}
}

func (s *story) take(text string) {
	var line struct{ Level, Message, Setting, Addr, Error string }
	if json.Unmarshal([]byte(text), &line) != nil {
		if text = strings.TrimSpace(text); text != "" && !strings.HasSuffix(text, "--help lists all settings") {
			s.failure = text
		}
		return
	}
	switch {
	case line.Message == "listening":
		if s.listens == nil {
			s.listens = map[string]string{}
		}
		s.listens[line.Setting] = line.Addr
	case line.Error != "" && line.Level == "error":
		s.failure = line.Error
	}
}

// awaitReady returns when /readyz of the process answers 200.
func (p *Process) awaitReady(ctx context.Context, s *story) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("it was not ready within %s", readyTimeout))
	defer cancel()
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("it does not listen yet")
	for {
		s.read()
		if ops := s.listens["OPS_ADDR"]; ops != "" {
			if last = ask(ctx, client, "http://"+ops+"/readyz"); last == nil {
				s.read()
				p.mu.Lock()
				p.story = s
				p.mu.Unlock()
				return nil
			}
		}
		select {
		case <-p.Done():
			s.read()
			return p.explain(s.failure)
		case <-ctx.Done():
			return fmt.Errorf("%s did not start: %w (%w); its log is %s", p.Name, context.Cause(ctx), last, p.Log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return err
}
