package readme

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`^#+ (.*)`)
	testName  = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark|Example)[A-Z]\w*`)
	makeCall  = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	agentctl  = regexp.MustCompile(`\bagentctl((?: +[^ |#]+)*)`)
	program   = regexp.MustCompile(`(?:^|[^/\w])bin/([a-z][a-z-]*)`)
	word      = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flag      = regexp.MustCompile(`^--[a-z][a-z-]*`)
	pathLike  = regexp.MustCompile(`^[\w.-]+(?:/[\w.-]+)+/?$`)
	topFolder = regexp.MustCompile(`^(?:services|pkg|deploy|helm|\.github)/`)
	source    = regexp.MustCompile(`^[\w-]+\.(?:go|lua|md|py|sh|sql)$`)
	command   = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) {2,}\S`)
)

// check returns what text, the Markdown file at path, names and the tree does not have: one line for each,
// with the file and the line.
func (t *tree) check(path, text string) (misses []string) {
	folder := filepath.Dir(path)
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		miss := func(format string, args ...any) {
			misses = append(misses, fmt.Sprintf("%s:%d: ", path, i+1)+fmt.Sprintf(format, args...))
		}
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		for _, name := range testName.FindAllString(line, -1) {
			if !t.tests[name] {
				miss("no test %s", name)
			}
		}
		for _, name := range variable.FindAllString(line, -1) {
			if !t.variables[name] {
				miss("no variable %s", name)
			}
		}
		if fenced {
			t.checkCode(line, miss)
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
			t.checkCode(m[1], miss)
			t.checkPath(m[1], folder, miss)
		}
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
			t.checkLink(m[1], path, text, miss)
		}
	}
	return misses
}

type report func(format string, args ...any)

// checkCode judges a line of code: the make targets, commands and paths in it.
func (t *tree) checkCode(code string, miss report) {
	for _, m := range makeCall.FindAllStringSubmatch(code, -1) {
		if !t.targets[m[1]] {
			miss("no target make %s", m[1])
		}
	}
	for _, m := range program.FindAllStringSubmatch(code, -1) {
		if m[1] != "tools" && !t.programs[m[1]] {
			miss("no program bin/%s", m[1])
		}
	}
	for _, m := range agentctl.FindAllStringSubmatch(code, -1) {
		t.checkCommand(strings.Fields(m[1]), miss)
	}
	for _, token := range strings.Fields(code) {
		if topFolder.MatchString(token) && pathLike.MatchString(token) && !t.exists(token, ".") {
			miss("no file or folder %s", token)
		}
	}
}

// checkCommand follows the words of an agentctl command as far as there are subcommands, and looks for its flags.
func (t *tree) checkCommand(words []string, miss report) {
	var path []string
	help := t.help()
	for i, w := range words {
		_, usage, _ := strings.Cut(help, "\nUsage:")
		usage, _, _ = strings.Cut(usage, "\nFlags:")
		known := make(map[string]bool)
		for _, m := range command.FindAllStringSubmatch(usage, -1) {
			known[m[1]] = true
		}
		if len(known) == 0 || !word.MatchString(w) {
			words = words[i:]
			break
		}
		path = append(path, w)
		if !known[w] {
			miss("no command agentctl %s", strings.Join(path, " "))
			return
		}
		help = t.help(path...)
		if i == len(words)-1 {
			words = nil
		}
	}
	for _, w := range words {
		if name := flag.FindString(w); name != "" && !regexp.MustCompile(name+`\b`).MatchString(help) {
			miss("no flag %s of agentctl %s", name, strings.Join(path, " "))
		}
	}
}

// checkPath judges a code span that is a path, from the file's folder or the root, or the name of a source file.
func (t *tree) checkPath(span, folder string, miss report) {
	switch {
	case strings.Contains(span, "...") || strings.HasPrefix(span, "bin/") || strings.HasPrefix(span, ".agentbus/") || topFolder.MatchString(span):
	case pathLike.MatchString(span) && !t.exists(span, folder, "."):
		miss("no file or folder %s", span)
	case source.MatchString(span) && !t.baseNames[span]:
		miss("no file %s", span)
	}
}

// checkLink judges a link inside the repository: the file, and the heading that it leads to.
func (t *tree) checkLink(target, path, text string, miss report) {
	if strings.Contains(target, "://") {
		return
	}
	file, anchor, _ := strings.Cut(target, "#")
	if file != "" {
		if !t.exists(file, filepath.Dir(path)) {
			miss("no file or folder %s", file)
			return
		}
		content, err := os.ReadFile(filepath.Join(t.root, filepath.Dir(path), file))
		if err != nil && anchor != "" {
			miss("no heading %s", target)
			return
		}
		text = string(content)
	}
	if anchor == "" {
		return
	}
	for _, line := range strings.Split(text, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil && slug(m[1]) == anchor {
			return
		}
	}
	miss("no heading %s", target)
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}
