package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"agentbus/pkg/devserver/servertest"
)

const (
	nameField       = `[name="body.name"]`
	generationField = `[name="body.stages.generation.parameters"]`
	auditField      = `[name="body.stages.audit.parameters"]`
	attemptsField   = `[name="body.stages.testing.attempts"]`
)

// wrong is the selector of what is said to be wrong with a field.
func wrong(field string) string { return `.field:has(` + field + `) .wrong` }

// TestStartWatchAndRead: a workflow is started in the form, watched to its end, and its reports are read.
func TestStartWatchAndRead(t *testing.T) {
	b := openTab(t, pageOf(shared), "#/new")
	name := newName("form")

	// What the page can tell by itself, and what the server says, stands at the field.
	b.write(auditField, `{"fail_on": `)
	b.click("#start")
	b.shows(wrong(auditField), "Not valid JSON")
	b.write(auditField, `{"fail_on": "critical"}`)
	b.write(nameField, "Not A Name")
	b.write(attemptsField, "99")
	b.click("#start")
	b.shows(wrong(nameField), "lower-case letters, digits and inner dashes")
	b.shows(wrong(attemptsField), "10")
	b.holds(`document.activeElement.name === "body.name"`, `document.activeElement.outerHTML`)

	// The name of what is delivered follows the workflow's; a finding that is not critical lets it pass.
	b.write(nameField, name)
	b.write(attemptsField, "2")
	b.holds(`JSON.parse(document.querySelector('`+generationField+`').value).name === `+quote(name), `document.querySelector('`+generationField+`').value`)
	parameters, err := json.Marshal(greeter(name, plantedKey))
	if err != nil {
		t.Fatal(err)
	}
	b.write(generationField, string(parameters))
	b.js(`const f = document.querySelector('form'); f.requestSubmit(); f.requestSubmit()`) // a double click

	b.shows("h1", name)
	b.holdsFor(endTimeout, `document.querySelector('.top-of-workflow .chip').textContent === 'completed'`, `document.querySelector('main').innerText`)
	b.holds(`document.querySelectorAll('.pipeline [data-stage=done]').length === 4`, `document.querySelector('.pipeline').innerText`)
	b.shows(".result", "Live at http://127.0.0.1:")
	b.numbersAreWhole()

	b.openReport("Findings")
	b.shows(".panel", "1 finding")
	b.click(".findings summary")
	b.shows(".findings li", "aws-access-token")
	b.shows(".findings li", "config/keys.go:3")
	b.shows(".findings .severity", "high")
	b.shows(".finding", "AWS")
	b.openReport("Tests")
	b.shows(".panel .sums", "14 passed")
	b.shows(".panel .sums", "0 failed")
	b.downloads("audit.sarif", "aws-access-token")

	var list struct{ Workflows []struct{ ID string } }
	ask(t, http.MethodGet, pageOf(shared)+"/v1/workflows?name="+name, "", nil, &list)
	if len(list.Workflows) != 1 {
		t.Errorf("a double click started %d workflows", len(list.Workflows))
	}
}

// openReport clicks the button of that text at an artifact.
func (b *tab) openReport(text string) {
	b.Helper()
	find := `[...document.querySelectorAll('.artifacts button')].find((x) => x.textContent === ` + quote(text) + `)`
	b.holds(find, `document.querySelector('.reports').innerText`)
	b.js(find + `.click()`)
	b.do(visible(".panel .report, .panel pre, .panel .note"))
}

// downloads clicks the artifact's button and looks for the text in the file that the browser saves.
func (b *tab) downloads(name, text string) {
	b.Helper()
	dir := b.TempDir()
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID, DownloadPath: dir,
	}); err != nil {
		b.Fatal(err)
	}
	b.when(`[...document.querySelectorAll('.artifacts li')].find((li) => li.innerText.includes(`+quote(name)+`))`, `found.querySelector('button.quiet').click()`)
	servertest.Eventually(b.TB, patience, func() error {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && !strings.Contains(string(content), text) {
			err = fmt.Errorf("%s holds %d bytes without %q", name, len(content), text)
		}
		return err
	})
}

// numbersAreWhole checks that the timeline has each number from 1 on once, and returns how many.
func (b *tab) numbersAreWhole() int {
	b.Helper()
	const numbers = `[...document.querySelectorAll('.timeline li')].map((li) => Number(li.dataset.seq))`
	b.holds(numbers+`.every((n, i, all) => n === all.length - i)`, numbers+`.join()`)
	n := eval[int](b, numbers+`.length`)
	if n == 0 {
		b.Error("the timeline is empty")
	}
	return n
}

// TestCancelAndRunAgain: a running workflow is cancelled after a question, and run again.
func TestCancelAndRunAgain(t *testing.T) {
	name := newName("cancelled")
	id := create(t, shared, "", name, greeter(name, slowTest(300)))
	b := openTab(t, pageOf(shared), "#/workflows/"+id)
	b.holdsFor(endTimeout, `document.querySelector('.pipeline li:nth-child(3)').dataset.stage === 'running'`, `document.querySelector('main').innerText`)
	b.click("#cancel")
	b.click("dialog .quiet")
	b.holds(`!document.querySelector('dialog') && document.querySelector('.top-of-workflow').dataset.state === 'running'`, `document.body.innerText`)
	b.click("#cancel")
	b.click("#dialog-yes")
	b.holds(`document.querySelector('.top-of-workflow').dataset.state === 'cancelled'`, `document.querySelector('main').innerText`)
	b.shows(".pipeline li:nth-child(3)", "stopped")

	b.click("#run-again")
	b.holds(`location.hash.startsWith('#/workflows/') && !location.hash.endsWith(`+quote(id)+`)`, `location.hash + document.querySelector('main').innerText`)
	b.shows("h1", name)
	b.click("#cancel")
	b.click("#dialog-yes")
	b.holds(`document.querySelector('.top-of-workflow').dataset.state === 'cancelled'`, `document.querySelector('main').innerText`)
}
