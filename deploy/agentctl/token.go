package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	tokenVariable = "AGENTBUS_TOKEN"
	maxToken      = 8 << 10 // bytes; what a server takes
)

// readToken is the bearer token of --token-file, else of the environment; "" when there is none. It is no
// flag's value, since those stand in the list of processes. No error holds anything of it.
func readToken(file string) (string, error) {
	from, token := tokenVariable, os.Getenv(tokenVariable)
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxToken+2)) // with a newline
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		from, token = "--token-file "+file, string(text)
	}
	token = strings.TrimSpace(token)
	printable := func(r rune) bool { return r > ' ' && r <= '~' }
	switch {
	case token == "" && file != "":
		return "", usagef("%s is empty", from)
	case len(token) > maxToken:
		return "", usagef("%s has more than %d bytes: that is no token", from, maxToken)
	case strings.TrimFunc(token, printable) != "":
		return "", usagef("%s holds more than a token: it must be one word of printable characters", from)
	}
	return token, nil
}
