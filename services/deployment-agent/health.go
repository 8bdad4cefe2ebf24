package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"agentbus/pkg/agent"
)

const (
	healthEvery   = 100 * time.Millisecond // between tries
	healthRequest = 2 * time.Second        // limit of one try
)

// health is how a release answered.
type health struct {
	Path       string `json:"path"`
	Status     int    `json:"status"` // of the last answer, 0 when there was none
	Tries      int    `json:"tries"`
	DurationMS int64  `json:"duration_ms"`

	last string // what the last try gave, for people
}

// confirm asks until the release answers 2xx. It gives up when limit is over or
// the process ends, and returns whether the answer came. The error is ctx's cause.
func confirm(ctx context.Context, i instance, path string, limit time.Duration) (h health, ok bool, err error) {
	begun := time.Now()
	h = health{Path: path, last: "nothing was asked"}
	defer func() { h.DurationMS = time.Since(begun).Milliseconds() }()
	client := &http.Client{
		Timeout: healthRequest,
		// A redirect is no answer, and could lead anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
	}
	over := time.After(limit)
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		h.Tries++
		h.Status, h.last = ask(ctx, client, i.url()+path)
		switch {
		case !i.Alive():
			h.last = "the process ended"
			return h, false, context.Cause(ctx)
		case h.Status/100 == 2:
			return h, true, nil
		}
		select {
		case <-ctx.Done():
			return h, false, context.Cause(ctx)
		case <-over:
			return h, false, nil
		case <-tick.C:
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) (status int, answer string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	return response.StatusCode, fmt.Sprintf("%s %s", response.Status, strings.TrimSpace(agent.Clean(string(body))))
}
