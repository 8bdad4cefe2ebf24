package service

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// aboutWidth keeps descriptions in a readable column, in characters.
const aboutWidth = 60

// help prints what the process is and the table of everything it can be told.
func help(w io.Writer, spec Spec, configs ...any) error {
	fmt.Fprintf(w, "%s %s\n\nUsage: %s [--help | --version]\n\nIt is configured by environment variables:\n\n", spec.Name, spec.About, spec.Name)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  NAME\tTYPE\tDEFAULT\tDESCRIPTION")
	for _, c := range configs {
		for _, v := range variables(c) {
			fallback := v.fallback
			switch {
			case v.required:
				fallback = "(required)"
			case fallback == "":
				fallback = "-"
			}
			about := v.about
			if v.secret {
				about += "; " + v.key + fileSuffix + " names a file that holds it instead"
			}
			lines := wrap(about, aboutWidth)
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", v.key, v.kind, fallback, lines[0])
			for _, line := range lines[1:] {
				fmt.Fprintf(table, "  \t\t\t%s\n", line)
			}
		}
	}
	fmt.Fprintln(table, "\nA duration has its unit: 500ms, 30s, 5m. Exit codes: 0 drained, 1 failed, 2 wrong usage or configuration.")
	return table.Flush()
}

// wrap breaks text between words into lines of at most width characters; there is always one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
