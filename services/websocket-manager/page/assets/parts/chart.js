// A small line of a figure's last minutes.
import { setAttr, svg } from '../lib/dom.js';

const width = 240, height = 44, few = 30;

export class Chart {
  #line = svg('polyline', { class: 'curve', fill: 'none', 'vector-effect': 'non-scaling-stroke' });
  #area = svg('polygon', { class: 'area' });
  root;

  constructor(label) {
    this.root = svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
      this.#area, this.#line);
  }

  // draw shows values, the newest last; least is the smallest value that the top stands for. The first few
  // take a fourth of the width, so that something is seen soon.
  draw(values, least) {
    const most = Math.max(values.length, few);
    const top = Math.max(least, ...values);
    const x = (i) => width - ((values.length - 1 - i) * width) / (most - 1);
    const y = (v) => height - 2 - (v / top) * (height - 6);
    const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    setAttr(this.#line, 'points', points.join(' '));
    setAttr(this.#area, 'points', points.length ? `${x(0).toFixed(1)},${height} ${points.join(' ')} ${width},${height}` : '');
  }
}
