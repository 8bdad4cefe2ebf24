// Whether the coordinator answers. The live view goes on without it; starting, cancelling and reports do
// not, and the page says so.

const own = /^v1\/(session|tickets|workflows\/[^/]+\/(history|events))/; // these the live view answers itself

class Coordinator extends EventTarget {
  up = true;

  answered(path, status) {
    if (own.test(path)) return;
    const up = status !== 502 && status !== 504;
    if (up === this.up) return;
    this.up = up;
    this.dispatchEvent(new Event('change'));
  }
}

export const coordinator = new Coordinator();
