/** The latencies of bench/io.ts as an SVG picture. Ours, because what draws plots without a browser brings eighty packages along. */
import type { Measured } from '../io.ts';
import { median } from '../report.ts';

const WIDTH = 900;
const LEFT = 250;
const RIGHT = 30;
const ROW = 22;
const GAP = 14;
const TOP = 46;
const COLOURS = { exclusive: '#2a6f97', shared: '#c8553d' } as const;

/** For each device and case a bar from the median to the 99th percentile and a cross at the worst, on a logarithmic scale in µs. */
export function drawLatencies(measured: readonly Measured[]): string {
  const rows = measured.map(({ device, way, isNoisy, results }) => {
    const of = (pick: 'median' | 'p99' | 'worst'): number => Math.max(0.1, median(results.map((result) => result[pick])) / 1000);
    return { device, way, label: `${way}, neighbour ${isNoisy ? 'noisy' : 'idle'}`, median: of('median'), p99: of('p99'), worst: of('worst') };
  });
  const first = Math.floor(Math.log10(Math.min(...rows.map((row) => row.median))));
  const last = Math.ceil(Math.log10(Math.max(...rows.map((row) => row.worst))));
  const x = (value: number): number => LEFT + ((Math.log10(value) - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  let y = TOP;
  let device = '';
  const marks = rows.map((row) => {
    const isNew = row.device !== device;
    if (isNew && device !== '') y += GAP;
    device = row.device;
    const middle = y + ROW / 2;
    y += ROW;
    const worst = x(row.worst);
    return [
      isNew ? text(8, middle + 4, device, 'font-weight="bold"') : '',
      text(LEFT - 8, middle + 4, row.label, 'text-anchor="end" font-size="11"'),
      `<rect x="${round(x(row.median))}" y="${middle - 4}" width="${round(Math.max(2, x(row.p99) - x(row.median)))}" height="8" fill="${COLOURS[row.way]}"/>`,
      `<circle cx="${round(x(row.median))}" cy="${middle}" r="5" fill="${COLOURS[row.way]}"/>`,
      `<path d="M${round(worst - 4)} ${middle}h8M${round(worst)} ${middle - 4}v8" stroke="${COLOURS[row.way]}" stroke-width="2"/>`,
    ].join('');
  });
  const grid = Array.from({ length: last - first + 1 }, (_, n) => {
    const at = round(x(10 ** (first + n)));
    return `<path d="M${at} ${TOP - 6}V${y + 4}" stroke="#ddd"/>${text(at, TOP - 12, `${10 ** (first + n)}`, 'text-anchor="middle" font-size="11"')}`;
  });
  const title = text(8, 18, 'Round trips in µs of the host: median (dot) to 99 % (bar), and the worst (+)', 'font-weight="bold"');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 12}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
${[title, ...grid, ...marks].join('\n')}
</svg>
`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const text = (x: number, y: number, words: string, attributes: string): string => `<text x="${x}" y="${y}" ${attributes}>${words}</text>`;
