package redact

import (
	"regexp"
	"strings"
)

// pattern finds one form of secret inside a text. Every match contains one of hints, in lower case: most
// strings hold none, and looking for those of all patterns costs a fraction of one expression.
type pattern struct {
	hints []string
	find  *regexp.Regexp
	put   string
}

// patterns are the forms with so few false finds that they are taken out of any string. Values are kept
// apart from their surroundings, so that a line still says what it was about.
var patterns = [...]pattern{
	{[]string{"-----begin"}, regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)`), Mark},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}`), "${1}" + Mark},
	{[]string{"authorization"}, regexp.MustCompile(`(?i)\b(authorization["']?\s*[:=]\s*["']?basic\s+)[A-Za-z0-9+/]{4,}={0,2}`), "${1}" + Mark},
	{[]string{"://"}, regexp.MustCompile(`(://[^\s/?#:@]*:)[^\s/?#@]+@`), "${1}" + Mark + "@"},
	{[]string{"akia", "asia", "abia", "acca"}, regexp.MustCompile(`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`), Mark},
	{[]string{"eyj"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), Mark},
	{[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,}\b`), Mark},
	{[]string{"github_pat_"}, regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{22,}\b`), Mark},
	{[]string{"glpat-"}, regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`), Mark},
	{[]string{"xox"}, regexp.MustCompile(`\bxox[abeprs]-[A-Za-z0-9-]{10,}`), Mark},
	{[]string{"aiza"}, regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}\b`), Mark},
	{[]string{"sk-", "sk_", "rk-", "rk_"}, regexp.MustCompile(`\b(?:sk|rk)[-_](?:live[-_]|test[-_]|proj-|ant-)?[A-Za-z0-9_-]{20,}`), Mark},
	// Assignments and JSON inside strings. A colon counts only in JSON or after a password's name:
	// "aws-access-token: config/keys.go" names a rule and a file.
	{[]string{"pass", "secret", "token", "key"}, regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)["']?(?:=["']?|["']\s*:\s*["']))[^\s"'&,;]{3,}`), "${1}" + Mark},
	{[]string{"pass"}, regexp.MustCompile(`(?i)(\b(?:password|passwd|passphrase)\s*:\s*)[^\s"'&,;]{3,}`), "${1}" + Mark},
}

// There is a bit for each pattern.
const _ = lists(1) << (len(patterns) - 1)

// hints finds the patterns that may match a text.
var hints = newWords(foldCase, hintsOf(patterns[:])...)

func hintsOf(all []pattern) (lists [][]string) {
	for _, p := range all {
		lists = append(lists, p.hints)
	}
	return lists
}

// foldCase is lower case as an expression with (?i) sees it: by way of upper case, because U+017F is a
// small letter already and yet an s to it.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// Text returns s with what looks like a secret replaced.
func Text(s string) string {
	found, _ := find(hints, s)
	for i := range patterns {
		if p := &patterns[i]; found&(1<<i) != 0 {
			s = p.find.ReplaceAllString(s, p.put)
		}
	}
	return s
}
