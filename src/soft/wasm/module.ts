/**
 * A WebAssembly module under construction: imports, functions, exports. It imports one shared memory of any size as
 * `env.memory`, so that one compiled module serves every partition. Spec: WebAssembly 2.0 §5.5.
 */
import { Bytes, Code, TYPE_BYTE, type ValueType } from './code.ts';

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

interface DeclaredFunction {
  readonly type: number;
  readonly code: Code;
  readonly exportAs: string | undefined;
}

export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: Bytes[] = [];
  readonly #imports: { readonly name: string; readonly type: number }[] = [];
  readonly #functions: DeclaredFunction[] = [];
  #hasTable = false;
  readonly #state: number | undefined;

  /** `state`: {@link Code.state} of all its functions. */
  constructor(state?: number) {
    this.#state = state;
  }

  /** All imports must be declared before the first function. Returns the function index. */
  importFunction(name: string, signature: Signature): number {
    if (this.#functions.length > 0) throw new Error('imports come before functions');
    return this.#imports.push({ name, type: this.#type(signature) }) - 1;
  }

  /** Imports a table of functions as `env.table`: table 0 of indirect calls. */
  importTable(): void {
    this.#hasTable = true;
  }

  /** The index of a function type, for indirect calls. */
  typeIndex(signature: Signature): number {
    return this.#type(signature);
  }

  /** A function whose code {@link define} writes later: others, which may be written in between, can call it already. Returns the function index. */
  declare(signature: Signature, exportAs?: string): number {
    const code = new Code(signature.parameters.length, this.#state);
    return this.#imports.length + this.#functions.push({ type: this.#type(signature), code, exportAs }) - 1;
  }

  /** `body` writes the code; parameters are locals 0…. */
  define(index: number, body: (code: Code) => void): void {
    body((this.#functions[index - this.#imports.length] as DeclaredFunction).code);
  }

  /** Both at once. */
  function(signature: Signature, exportAs: string | undefined, body: (code: Code) => void): number {
    const index = this.declare(signature, exportAs);
    this.define(index, body);
    return index;
  }

  build(): Uint8Array<ArrayBuffer> {
    const out = new Bytes().raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, (s) => {
      s.unsigned(this.#types.length);
      for (const type of this.#typeBytes) s.raw(type.done());
    });
    section(out, 2, (s) => {
      s.unsigned(this.#imports.length + (this.#hasTable ? 2 : 1));
      s.text('env').text('memory').byte(2).byte(3).unsigned(1).unsigned(65_536);
      if (this.#hasTable) s.text('env').text('table').byte(1).byte(0x70).byte(0).unsigned(0);
      for (const { name, type } of this.#imports) s.text('env').text(name).byte(0).unsigned(type);
    });
    section(out, 3, (s) => {
      s.unsigned(this.#functions.length);
      for (const { type } of this.#functions) s.unsigned(type);
    });
    const exported = this.#functions.map((f, i) => ({ name: f.exportAs, index: this.#imports.length + i })).filter((e) => e.name !== undefined);
    section(out, 7, (s) => {
      s.unsigned(exported.length);
      for (const { name, index } of exported) s.text(name as string).byte(0).unsigned(index);
    });
    this.#branchHints(out);
    section(out, 10, (s) => {
      s.unsigned(this.#functions.length);
      for (const { code } of this.#functions) {
        const locals = localDeclarations(code);
        s.unsigned(locals.length + code.bytes.length + 1).raw(locals.done()).raw(code.bytes.done()).byte(0x0b);
      }
    });
    return out.done();
  }

  /** Branch hinting: positions count from the start of the function body, local declarations included. */
  #branchHints(out: Bytes): void {
    const hinted = this.#functions.map((f, i) => ({ code: f.code, index: this.#imports.length + i })).filter((f) => f.code.hints.length > 0);
    if (hinted.length === 0) return;
    section(out, 0, (s) => {
      s.text('metadata.code.branch_hint').unsigned(hinted.length);
      for (const { code, index } of hinted) {
        const start = localDeclarations(code).length;
        s.unsigned(index).unsigned(code.hints.length);
        for (const hint of code.hints) s.unsigned(hint.position + start).unsigned(1).byte(hint.likely ? 1 : 0);
      }
    });
  }

  #type({ parameters, results }: Signature): number {
    const key = `${parameters.join()}:${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const bytes = new Bytes().byte(0x60).unsigned(parameters.length);
    for (const type of parameters) bytes.byte(TYPE_BYTE[type]);
    bytes.unsigned(results.length);
    for (const type of results) bytes.byte(TYPE_BYTE[type]);
    this.#typeBytes.push(bytes);
    return this.#types.push(key) - 1;
  }
}

function section(out: Bytes, id: number, fill: (s: Bytes) => void): void {
  const body = new Bytes();
  fill(body);
  out.byte(id).unsigned(body.length).raw(body.done());
}

function localDeclarations(code: Code): Bytes {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of code.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const bytes = new Bytes().unsigned(runs.length);
  for (const { type, count } of runs) bytes.unsigned(count).byte(TYPE_BYTE[type]);
  return bytes;
}
