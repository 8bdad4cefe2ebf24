package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

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
	SHA256 string `path:"sha256" pattern:"^[0-9a-f]{64}$" patternDescription:"the digest as the workflow names it" doc:"The digest as the workflow names it"`
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
	content, err := c.open(ctx, a)
	if errors.Is(err, artifact.ErrMissing) {
		return nil, huma.Error404NotFound("the artifact is not in the store any more", &huma.ErrorDetail{Location: "path.sha256", Message: "was removed from the store", Value: in.SHA256})
	}
	if err != nil {
		c.store.log.Warn().Err(err).Str("workflow", in.ID).Str("artifact", a.Name).Msg("the artifact store does not answer")
		return nil, huma.Error503ServiceUnavailable("the artifact store does not answer; try again")
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer content.Close()
		for name, value := range artifactHeaders(a) {
			h.SetHeader(name, value)
		}
		_, w := humago.Unwrap(h)
		if _, err := io.Copy(patient{h.BodyWriter(), http.NewResponseController(w)}, content); err != nil {
			c.store.log.Warn().Err(err).Str("workflow", in.ID).Str("artifact", a.Name).Msg("sending an artifact broke off")
			panic(http.ErrAbortHandler) // the client must not take it for whole
		}
	}}, nil
}

// storePatience bounds the wait for a store's first word; its bytes may take longer.
const storePatience = 10 * time.Second

func (c *coordinator) open(ctx context.Context, a events.Artifact) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx) // not with a timeout: it holds for the reading too
	late := time.AfterFunc(storePatience, cancel)
	content, err := c.artifactStore.Open(ctx, a)
	if !late.Stop() && err == nil {
		err = errors.Join(context.DeadlineExceeded, content.Close())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return opened{content, cancel}, nil
}

// opened ends its context when it is closed.
type opened struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (o opened) Close() error {
	defer o.cancel()
	return o.ReadCloser.Close()
}

// artifactHeaders let a browser save an agent's file, and run nothing of it: it is nobody's page.
func artifactHeaders(a events.Artifact) map[string]string {
	mediaType := a.MediaType
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	return map[string]string{
		"Content-Type": mediaType, "Content-Length": strconv.FormatInt(a.Size, 10), "ETag": `"` + a.SHA256 + `"`,
		"Content-Disposition":    mime.FormatMediaType("attachment", map[string]string{"filename": fileName(a.Name)}),
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Cache-Control": "private, immutable, max-age=86400",
	}
}

// fileName is the last part of an artifact's name: an agent does not choose the folder.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == ".." || name == "/" {
		return "artifact"
	}
	return name
}

// patient gives a slow client time for each piece, where the server's limit is on the whole answer.
type patient struct {
	io.Writer
	control *http.ResponseController
}

// piecePatience is for a piece of 32 KiB.
const piecePatience = 30 * time.Second

func (p patient) Write(piece []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(piecePatience)); err != nil {
		return 0, err
	}
	return p.Writer.Write(piece)
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
