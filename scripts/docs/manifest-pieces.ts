/** The generated pieces of docs/manifest.md: keys from the schema, models from the device catalogue, examples and what is found in them. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeOption } from '../../src/board/index.ts';
import { DEVICE_CATALOGUE } from '../../src/cli/device-catalogue.ts';
import { renderFindings } from '../../src/cli/findings.ts';
import { manifestHost } from '../../src/cli/manifest-file.ts';
import { type Compilation, compileManifest, type DeviceModel, type DevicePlace, formatRange, manifestJsonSchema } from '../../src/manifest/index.ts';
import { code, fenced, markdownTable } from './regions.ts';

/** The little of JSON Schema that the manifest's uses. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly examples?: readonly string[];
  readonly pattern?: string;
  readonly description?: string;
}

const SCHEMA = manifestJsonSchema(DEVICE_CATALOGUE) as Schema;

/** A mapping of the language: where it stands, and its keys. */
interface Mapping {
  readonly path: string;
  readonly schema: Schema;
}

/** Every mapping with keys of its own, outermost first. `NAME` stands for what the author chooses. */
function mappings(schema: Schema, path: string): Mapping[] {
  if (schema.properties !== undefined) {
    const own = Object.entries(schema.properties).flatMap(([key, value]) => mappings(value, path === '' ? key : `${path}.${key}`));
    return [{ path, schema }, ...own];
  }
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((choice) => mappings(choice, path));
  if (typeof schema.additionalProperties === 'object') return mappings(schema.additionalProperties, `${path}.NAME`);
  return [];
}

function kindOf(schema: Schema): string {
  if (schema.const !== undefined) return code(String(schema.const));
  if (schema.enum !== undefined) return schema.enum.map(code).join(' or ');
  if (schema.oneOf !== undefined) return 'a model';
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(kindOf))].join(', or ');
  if (schema.type === 'array') return `list of ${kindOf(schema.items ?? {}).replace(/^address$/, 'addresses')}`;
  if (schema.properties !== undefined) return 'mapping';
  if (typeof schema.additionalProperties === 'object') return 'named mappings';
  if (schema.pattern?.includes('MIPS')) return 'speed';
  if (Array.isArray(schema.type)) return 'address';
  if (schema.pattern !== undefined) return 'size';
  if (schema.type === 'integer') return `${schema.minimum}–${schema.maximum}`;
  return schema.type === 'boolean' ? '`true` or `false`' : 'text';
}

/** Options are one value each, whatever their model says: the mapping of them has no keys of its own. */
function valueCell(key: string, schema: Schema): string {
  return key === 'options' ? 'option: value' : kindOf(schema);
}

function defaultCell(key: string, { required, properties }: Schema, computed: Computed): string {
  const value = properties?.[key]?.default ?? computed[key];
  if (required?.includes(key) && value === undefined) return 'required';
  return value === undefined || value === '' || (typeof value === 'object' && value !== null) ? '' : code(String(value));
}

/** Defaults that the compiler fills in and the schema cannot say. */
type Computed = Readonly<Record<string, string>>;

/** Read off a machine whose manifest leaves these keys out. */
function computedDefaults(root: string): Computed {
  const { file, text } = example(root, 'two-controllers');
  const { machine } = compileManifest(text.replace(/, limit: \d+/, ''), file, manifestHost(dirname(join(root, file))));
  const partition = machine?.partitions[0];
  if (partition === undefined) throw new Error(`${file} does not compile`);
  return { speed: `${partition.instructionsPerMicrosecond}MIPS`, limit: String(partition.onCrash.limit) };
}

function keysOf({ path, schema }: Mapping, computed: Computed): string {
  const rows = Object.entries(schema.properties ?? {}).map(([key, value]) => [
    code(key),
    valueCell(key, value),
    defaultCell(key, schema, computed),
    value.description ?? '',
  ]);
  return `### ${path === '' ? 'The manifest' : code(path)}\n\n${markdownTable(['key', 'value', 'default', 'meaning'], rows)}`;
}

const placeText = ({ ranges }: DevicePlace): string => ranges.map(({ base, size }) => code(formatRange(base, size))).join(' ');

function modelRow([name, model]: [string, DeviceModel]): string[] {
  const { title, places, relocatable, console } = model;
  const notes = [...(console ? ['can be a console'] : []), ...(relocatable ? [] : ['cannot be moved'])];
  return [code(name), title, places.map(placeText).join('; '), places.map(({ irqs }) => irqs.join(' ')).join('; '), notes.join(', ')];
}

function optionRows([name, { options }]: [string, DeviceModel]): string[][] {
  return Object.entries(options).map(([option, description]) => [code(name), code(option), describeOption(description), description.description]);
}

/** An example as it lies in docs/examples/, compiled. `file` is as findings show it. */
export function example(root: string, name: string): Compilation & { readonly file: string; readonly text: string } {
  const file = `docs/examples/${name}.yaml`;
  const text = readFileSync(join(root, file), 'utf8');
  return { file, text, ...compileManifest(text, file, manifestHost(dirname(join(root, file)))) };
}

/** A wrong example and what `bulkhead check` says about it. */
export function mistake(root: string, name: string): string {
  const { file, text, findings } = example(root, name);
  const shown = renderFindings(findings, text, (_, words) => words);
  return `${fenced('yaml', text)}\n${fenced('console', `$ npx bulkhead check ${file}\n${shown}`)}`;
}

export function manifestPieces(root: string): Readonly<Record<string, string>> {
  const models = Object.entries(DEVICE_CATALOGUE.models);
  const computed = computedDefaults(root);
  return {
    keys: mappings(SCHEMA, '').map((mapping) => keysOf(mapping, computed)).join('\n'),
    models: markdownTable(['model', 'what it is', 'usual places', 'lines', ''], models.map(modelRow)),
    options: markdownTable(['model', 'option', 'value', 'meaning'], models.flatMap(optionRows)),
    platform: markdownTable(
      ['what', 'where', 'lines'],
      DEVICE_CATALOGUE.platform.map((device) => [device.name, placeText(device), device.irqs.join(' ')]),
    ),
    'two-controllers': fenced('yaml', example(root, 'two-controllers').text),
    'two-owners': mistake(root, 'two-owners'),
    slips: mistake(root, 'slips'),
  };
}
