package access

import (
	"encoding/json"
	"net/http"
)

// Problem answers with an error as problem+json (RFC 9457).
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may have gone away
		"title": http.StatusText(status), "status": status, "detail": detail,
	})
}
