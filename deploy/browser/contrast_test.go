package browser

import "github.com/chromedp/chromedp"

func visible(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

// readable checks that all text stands out from what is behind it as WCAG AA asks: 4.5 to 1.
func (b *tab) readable(what string) {
	b.Helper()
	faint := eval[[]string](b, contrast)
	if len(faint) > 0 {
		b.Errorf("%s: too faint: %q", what, faint)
	}
}

// contrast lists texts that are too faint. Colours are painted on a canvas to read them, whatever notation
// they have; backgrounds are laid over each other from the outermost in.
const contrast = `(() => {
	const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
	const paint = (colours) => {
		context.clearRect(0, 0, 1, 1);
		for (const c of colours) { context.fillStyle = c; context.fillRect(0, 0, 1, 1); }
		return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
	};
	const light = (rgb) => {
		const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const known = new Map(), out = new Set();
	for (const e of document.querySelectorAll('body *')) {
		const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
		if (!text || !e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) || e.closest('.hidden, .skip, noscript, :disabled')) continue;
		const behind = ['Canvas'];
		for (let p = e, found = []; ; p = p.parentElement) {
			if (!p) { behind.push(...found.reverse()); break; }
			found.push(getComputedStyle(p).backgroundColor);
		}
		const colour = getComputedStyle(e).color, key = behind.join() + colour;
		if (!known.has(key)) {
			const [a, b] = [light(paint([...behind, colour])), light(paint(behind))];
			known.set(key, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
		}
		if (known.get(key) < 4.5) out.add(e.tagName + '.' + e.className + ' ' + known.get(key).toFixed(2) + ': ' + text.slice(0, 30));
	}
	return [...out].slice(0, 6);
})()`
