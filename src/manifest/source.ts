/**
 * The text of one manifest: YAML 1.2 (JSON is a subset of it) with the place of every key and value kept.
 *
 * Not modelled: merge keys (`<<`) and custom tags; a manifest is one document.
 */
import { isAlias, isMap, isPair, isScalar, isSeq, parseDocument, visit, type Document, type Pair } from 'yaml';
import type { Finding, SourceSpan } from '../contracts/index.ts';

/** Keys and indices from the root down to a node. */
export type Path = readonly (string | number)[];

/** A manifest is written by people: beyond this it is something else, and parsing it would only cost memory. */
const MAX_TEXT = 1024 * 1024;
/** Aliases may be expanded this often, all together: enough for honest reuse, too little for a "billion laughs". */
const MAX_ALIASES = 100;
const TOO_DEEP = 'the manifest is nested too deeply to be read';

type Refuse = (code: Finding['code'], message: string, at: SourceSpan, hint?: string, related?: NonNullable<Finding['related']>) => void;

export class ManifestSource {
  readonly file: string;
  /** Plain data; undefined when the text is no YAML, and `findings` then says why. */
  readonly data: unknown;
  readonly findings: readonly Finding[];
  readonly #text: string;
  readonly #lineStarts: readonly number[];
  #document: Document | undefined;

  /** Never throws, whatever the text. */
  constructor(text: string, file: string) {
    this.file = file;
    this.#text = text;
    this.#lineStarts = lineStartsOf(text);
    const findings: Finding[] = [];
    this.findings = findings;
    this.data = this.#read(findings);
  }

  /** Where a value stands. A block mapping or a list is shown by its key; what is not there, by the nearest thing around it. */
  at(path: Path): SourceSpan {
    return this.#find(path, 'value');
  }

  /** Where the key stands that names the last step of `path`. */
  keyAt(path: Path): SourceSpan {
    return this.#find(path, 'key');
  }

  #read(findings: Finding[]): unknown {
    const refuse: Refuse = (code, message, at, hint, related) => {
      findings.push({ code, severity: 'error', message, at, ...(hint === undefined ? {} : { hint }), ...(related === undefined ? {} : { related }) });
    };
    if (this.#text.length > MAX_TEXT) {
      refuse('BH103', `the manifest has ${this.#text.length} characters`, this.#span(0, 1), `at most ${MAX_TEXT} are read`);
      return undefined;
    }
    let document: Document;
    try {
      document = parseDocument(this.#text, { prettyErrors: false, uniqueKeys: false, version: '1.2' });
    } catch {
      // The parser recurses: it ends here when brackets are nested thousands deep.
      refuse('BH103', TOO_DEEP, this.#span(0, 1));
      return undefined;
    }
    for (const error of [...document.errors, ...document.warnings]) {
      const at = this.#span(error.pos[0], error.pos[1]);
      if (error.code === 'RESOURCE_EXHAUSTION') refuse('BH103', TOO_DEEP, at);
      else refuse('BH101', lowerFirst(error.message), at, 'the text is not YAML from here on');
    }
    if (findings.length > 0) return undefined;
    this.#document = document;
    try {
      this.#checkKeys(document, refuse);
      return findings.length > 0 ? undefined : document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      if (error instanceof RangeError) refuse('BH103', TOO_DEEP, this.#span(0, 1));
      else refuse('BH101', error instanceof Error ? lowerFirst(error.message) : 'unreadable', this.#span(0, 1), 'check the anchors (&) and aliases (*)');
      return undefined;
    }
  }

  /**
   * Keys are plain words, each once in its mapping: `? [a, b]` or `__proto__` would be bent into something else on the way to plain
   * data. The parser's own search for duplicates takes quadratic time, and does not say where the first one stands.
   */
  #checkKeys(document: Document, refuse: Refuse): void {
    visit(document, {
      Map: (_, map) => {
        const first = new Map<string, unknown>();
        for (const { key, value } of map.items as Pair<unknown, unknown>[]) {
          const name = isScalar(key) && key.value !== null ? String(key.value) : '__proto__';
          const at = this.#spanOf(key) ?? this.#spanOf(value) ?? this.#span(0, 1);
          if (name === '__proto__') refuse('BH106', 'a key must be a plain word', at);
          else if (first.has(name)) {
            const related = [{ message: 'the first one', at: this.#spanOf(first.get(name)) ?? at }];
            refuse('BH102', `the key \`${name.slice(0, 40)}\` stands here twice`, at, 'remove or rename one of the two', related);
          } else first.set(name, key);
        }
      },
    });
  }

  #find(path: Path, want: 'key' | 'value'): SourceSpan {
    let node: unknown = this.#document?.contents;
    let shown: unknown;
    for (const [depth, step] of path.entries()) {
      const last = depth === path.length - 1;
      if (isAlias(node)) node = node.resolve(this.#document!);
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && keyName(item) === String(step));
        if (pair === undefined) break;
        node = pair.value;
        const own = isScalar(node) ? node.value !== null : isAlias(node) || ((isMap(node) || isSeq(node)) && node.flow === true);
        shown = own && last && want === 'value' ? node : pair.key;
      } else if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
        node = node.items[step];
        shown = node;
      } else break;
    }
    return this.#spanOf(shown) ?? this.#span(0, 1);
  }

  #spanOf(node: unknown): SourceSpan | undefined {
    const range = (node as { range?: readonly [number, number, number] | null } | null | undefined)?.range;
    return range ? this.#span(range[0], range[1]) : undefined;
  }

  /** Held to one line, and to the text: a caret must have a place to stand. */
  #span(start: number, end: number): SourceSpan {
    const from = Math.min(Math.max(0, start), this.#text.length);
    let line = 0;
    for (let step = this.#lineStarts.length; step >= 1; step = Math.floor(step / 2)) {
      while ((this.#lineStarts[line + step] ?? Number.POSITIVE_INFINITY) <= from) line += step;
    }
    const lineEnd = (this.#lineStarts[line + 1] ?? this.#text.length + 1) - 1;
    return { file: this.file, line: line + 1, column: from - this.#lineStarts[line]! + 1, length: Math.max(1, Math.min(end, lineEnd) - from) };
  }
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function keyName(pair: Pair<unknown, unknown>): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
