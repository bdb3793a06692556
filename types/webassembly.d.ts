/** The part of the WebAssembly JavaScript API that Bulkhead uses; TypeScript only ships it with the DOM library, which pure rooms must not see. */
declare namespace WebAssembly {
  interface MemoryDescriptor { initial: number; maximum?: number; shared?: boolean }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
  }
  class Module { constructor(bytes: Uint8Array<ArrayBuffer>); }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  class Table {
    constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number });
    get(index: number): unknown;
    set(index: number, value: unknown): void;
  }
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}
