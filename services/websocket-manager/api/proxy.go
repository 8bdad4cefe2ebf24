package api

import (
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/rs/zerolog"

	"agentbus/pkg/access"
)

// Proxy hands requests on to the coordinator, which asks for the token itself.
func Proxy(coordinator *url.URL, log zerolog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(coordinator)
			r.SetXForwarded()
			// They were judged here, against this server's names; the coordinator has others.
			for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Cookie"} {
				r.Out.Header.Del(name)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.Warn().Err(err).Str("path", r.URL.Path).Msg("the coordinator does not answer")
			}
			access.Problem(w, http.StatusBadGateway, "the coordinator does not answer; try again a little later")
		},
	}
}
