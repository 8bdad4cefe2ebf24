package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// redisPatience is how long a command waits for a Redis that does not answer.
const redisPatience = 5 * time.Second

// output is the value of --output; "" is table.
type output string

// String, Set and Type implement pflag.Value.
func (o *output) String() string {
	if *o == "" {
		return "table"
	}
	return string(*o)
}

// Set takes table or json.
func (o *output) Set(value string) error {
	if value != "table" && value != "json" {
		return fmt.Errorf("must be table or json")
	}
	*o = output(value)
	return nil
}

// Type is how --help calls it.
func (o *output) Type() string { return "format" }

func (a *app) json() bool { return a.output == "json" }

// print writes the value as one line of JSON.
func (a *app) print(value any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// table aligns rows; the first is the header.
func table(out io.Writer, rows ...[]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Map(printable, cell)
		}
		// The last cell ends the line without padding, also where that one is empty.
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// printable keeps text of others from moving the cursor.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}

// clip shortens text to n characters.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:max(n-3, 0)]) + "..."
}

// took is a duration for people.
func took(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 24*time.Hour:
		return d.Round(time.Second).String()
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// withoutPassword is a URL for messages.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the URL that was given"
	}
	return u.Redacted()
}

// terminal reports whether a person watches the stream, or types into it.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
