package browser

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// startChromium starts the browser with nothing of a person's own in it, and nothing that would make it
// talk to anybody but the stack. A tab is made of the context that it returns.
func startChromium(ctx context.Context, profile string) (browser context.Context, stop func(), err error) {
	program := "/usr/bin/chromium" // Debian's
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(filepath.Clean(profile)), chromedp.NoFirstRun,
		chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		// A tab that is not in front must go on painting: the tests have several.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx, options...)
	browser, stopBrowser := chromedp.NewContext(alloc)
	stop = func() {
		stopBrowser()
		stopAlloc()
	}
	if err := chromedp.Do(browser); err != nil { // without an action it starts the program alone
		stop()
		return nil, nil, fmt.Errorf("%s: %w; deploy/install-deps.sh --for-tests installs it", program, err)
	}
	return browser, stop, nil
}
