package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/events"
)

// registerArtifacts adds what stages left: reports to read, archives to take away.
func (c *coordinator) registerArtifacts(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "get-artifact", Method: http.MethodGet, Path: "/v1/workflows/{id}/artifacts/{sha256}", Tags: []string{"workflows"},
		Summary: "Get an artifact of a workflow", Description: "As the stage stored it; the answer breaks off when the store has other bytes than the stage wrote.",
		Errors: []int{401, 404, 422, 503}}, c.apiArtifact)
}

type artifactInput struct {
	ID     string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$"`
	SHA256 string `path:"sha256" pattern:"^[0-9a-f]{64}$" patternDescription:"the digest as the workflow names it"`
}

func (c *coordinator) apiArtifact(ctx context.Context, in *artifactInput) (*huma.StreamResponse, error) {
	w, err := c.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	a, ok := w.artifact(in.SHA256)
	if !ok {
		return nil, huma.Error404NotFound("the workflow has no such artifact", &huma.ErrorDetail{Location: "path.sha256", Message: "not of this workflow", Value: in.SHA256})
	}
	pipe, err := c.artifactStore.Open(ctx, a)
	if errors.Is(err, artifact.ErrMissing) {
		return nil, huma.Error404NotFound("the artifact is not in the store any more", &huma.ErrorDetail{Location: "path.sha256", Message: "was removed from the store", Value: in.SHA256})
	}
	if err != nil {
		return nil, huma.Error503ServiceUnavailable("the artifact store does not answer; try again")
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer func() { _ = pipe.Close() }()
		mediaType := a.MediaType
		if mediaType == "" {
			mediaType = "application/octet-stream"
		}
		// An agent's files are nobody's page: a browser saves them, and runs nothing of them.
		for name, value := range map[string]string{
			"Content-Type": mediaType, "Content-Length": strconv.FormatInt(a.Size, 10), "ETag": `"` + a.SHA256 + `"`,
			"Content-Disposition":    mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}),
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
			"Cache-Control": "private, immutable, max-age=86400",
		} {
			h.SetHeader(name, value)
		}
		if _, err := io.Copy(h.BodyWriter(), pipe); err != nil {
			c.store.log.Warn().Err(err).Str("workflow", in.ID).Str("artifact", a.Name).Msg("sending an artifact broke off")
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	}}, nil
}

// artifact is the one with this digest that a stage left.
func (w *workflow) artifact(sha256 string) (events.Artifact, bool) {
	for _, s := range w.Stages {
		if i := slices.IndexFunc(s.Artifacts, func(a events.Artifact) bool { return a.SHA256 == sha256 }); i >= 0 {
			return s.Artifacts[i], true
		}
	}
	return events.Artifact{}, false
}

// openArtifacts opens ARTIFACT_URL for reading.
func openArtifacts(ctx context.Context, address string) (*artifact.Store, error) {
	s, err := artifact.Open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	return s, nil
}
