package access

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// parseTokens reads lines of "sha256:<hex> <subject> <tenant> [operator]"; # begins a comment. An error
// names the line and quotes nothing of its digest's field: somebody may have put the token there.
func parseTokens(raw []byte) (map[[sha256.Size]byte]Principal, error) {
	tokens := make(map[[sha256.Size]byte]Principal)
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		digest, p, err := parseToken(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := tokens[digest]; twice {
			return nil, fmt.Errorf("line %d: this token stands in an earlier line too", n)
		}
		tokens[digest] = p
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, errors.New("there is no token in it")
	}
	return tokens, nil
}

func parseToken(fields []string) (digest [sha256.Size]byte, p Principal, err error) {
	if len(fields) < 3 || len(fields) > 4 || (len(fields) == 4 && fields[3] != "operator") {
		return digest, p, errors.New("must read: sha256:<hex of the token> <subject> <tenant> [operator]")
	}
	text, ok := strings.CutPrefix(fields[0], "sha256:")
	raw, hexErr := hex.DecodeString(text)
	if !ok || hexErr != nil || len(raw) != sha256.Size {
		return digest, p, errors.New(`the first field must be sha256: and the 64 hex digits of the token's digest, as printf %s "$TOKEN" | sha256sum prints them`)
	}
	p = Principal{Subject: fields[1], Tenant: fields[2], Operator: len(fields) == 4}
	return [sha256.Size]byte(raw), p, p.validate()
}
