package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"agentbus/pkg/devserver/servertest"
)

// patience is for what takes a moment; the machine may be busy with other tests.
const patience = 20 * time.Second

// tab is a tab of the browser with the page in it.
type tab struct {
	testing.TB
	ctx  context.Context
	base string // http://host:port of the page

	mu      sync.Mutex
	trouble []string // dialogs and errors, none of which may be
}

// watch notes what the policy refuses, from the first moment of every document. A handler in an attribute that
// Chromium refuses already while a report is parsed, in a document of its own that nobody sees, comes without an
// element; one that had got into the page would come from its element, and harmless looks for it besides.
const watch = `window.__refused = []; addEventListener('securitypolicyviolation', (e) => {
	if (e.violatedDirective !== 'script-src-attr' || e.target instanceof Element) window.__refused.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample);
});`

// openTab opens the page at an address such as #/health, on a wide screen.
func openTab(t testing.TB, base, address string) *tab {
	t.Helper()
	b := &tab{TB: t, base: base}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	// The first call makes the tab, which lives as long as its context: this one has no limit of time.
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch}); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		refused := eval[[]string](b, `window.__refused`)
		b.mu.Lock()
		trouble := append(refused, b.trouble...)
		b.mu.Unlock()
		for _, what := range trouble {
			t.Errorf("in the browser: %s", what)
		}
		if dir := os.Getenv("FAILED_PICTURES"); dir != "" && t.Failed() {
			b.picture(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".png"))
		}
	})
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(base+"/"+address))
	return b
}

// hear runs on the goroutine that reads what the tab says.
func (b *tab) hear(event any) {
	what := ""
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		what = "a dialog: " + e.Message
		go func() { // it is noted already; an open one would hold up the tab
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	case *runtime.EventExceptionThrown:
		what = fmt.Sprintf("an error: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			what = fmt.Sprintf("an error on the console: %v", e.Args)
		}
	}
	if what == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = append(b.trouble, what)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	run(b, chromedp.Steps(actions...))
}

func run[T any](b *tab, action chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// eval runs an expression in the page; a promise is waited for.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// js runs a statement in the page.
func (b *tab) js(statement string) {
	b.Helper()
	eval[bool](b, "(() => { "+statement+"; return true; })()")
}

// holds waits until an expression is true, and says what another one is when it does not become so.
func (b *tab) holds(expression, otherwise string) {
	b.Helper()
	b.holdsFor(patience, expression, otherwise)
}

func (b *tab) holdsFor(timeout time.Duration, expression, otherwise string) {
	b.Helper()
	servertest.Eventually(b.TB, timeout, func() error {
		// What is not there yet, and therefore has no properties, does not hold.
		if eval[bool](b, "(() => { try { return Boolean("+expression+"); } catch { return false; } })()") {
			return nil
		}
		return fmt.Errorf("%s does not hold; %s is %s", expression, otherwise, eval[string](b, "(() => { try { return String("+otherwise+"); } catch (err) { return String(err); } })()"))
	})
}

// when waits until an expression finds something, and does something with what it found, in one step.
func (b *tab) when(expression, statement string) {
	b.Helper()
	b.holds("(() => { const found = "+expression+"; if (!found) return false; "+statement+"; return true; })()", "document.querySelector('main').innerText")
}

// shows waits until the selector's first element has the text in it.
func (b *tab) shows(selector, text string) {
	b.Helper()
	b.holds(fmt.Sprintf("document.querySelector(%s)?.innerText.includes(%s)", quote(selector), quote(text)),
		fmt.Sprintf("document.querySelector(%s)?.innerText ?? document.body.innerText", quote(selector)))
}

func (b *tab) click(selector string) {
	b.Helper()
	b.do(visible(selector), chromedp.Click(chromedp.CSS(selector)))
}

// write replaces what stands in a field, as a paste does.
func (b *tab) write(selector, text string) {
	b.Helper()
	b.do(visible(selector))
	b.js(fmt.Sprintf(`const f = document.querySelector(%s); f.focus(); f.value = %s; f.dispatchEvent(new Event('input', { bubbles: true }))`, quote(selector), quote(text)))
}

// key presses a key where the focus is, as a keyboard does: what the page prevents is not written.
func (b *tab) key(key string) {
	b.Helper()
	press := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key}
	if code, named := map[string]int64{"Escape": 27, "Enter": 13}[key]; named {
		press.WindowsVirtualKeyCode, press.Text = code, map[string]string{"Enter": "\r"}[key]
	}
	run(b, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
		if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, press); err != nil {
			return cdp.Empty{}, err
		}
		press.Type, press.Text = input.DispatchKeyEventTypeKeyUp, ""
		return cdp.Call(ctx, t, input.DispatchKeyEvent, press)
	})
}

// visit goes to an address such as #/new.
func (b *tab) visit(address string) {
	b.Helper()
	b.js("location.hash = " + quote(strings.TrimPrefix(address, "#")))
}

func (b *tab) screen(width, height int64, scheme string) {
	b.Helper()
	b.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// picture is of what stands on the screen.
func (b *tab) picture(file string) {
	b.Helper()
	png := run(b, chromedp.CaptureScreenshot())
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, png, 0o644)); err != nil {
		b.Error(err)
	}
}

func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err) // of a string
	}
	return string(out)
}

func reload() chromedp.Action[chromedp.Void] { return chromedp.Reload() }
