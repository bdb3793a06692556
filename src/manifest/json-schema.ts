/** The manifest language as a JSON Schema, for editors: generated from schema.ts and the device catalogue. */
import { z } from 'zod';
import type { DeviceCatalogue } from './host.ts';
import { manifestSchema } from './schema.ts';

type JsonObject = { [key: string]: unknown };

/** Draft 2020-12. Model names are listed from the catalogue, so that an editor can complete them. */
export function manifestJsonSchema(catalogue: DeviceCatalogue): JsonObject {
  const schema = z.toJSONSchema(manifestSchema, { io: 'input', target: 'draft-2020-12' }) as JsonObject;
  const models = Object.entries(catalogue.models).map(([name, model]) => ({ const: name, description: model.title }));
  return { title: 'Bulkhead machine manifest', ...(withModels(schema, models) as JsonObject) };
}

/** Every property called `model` becomes a choice of models. */
function withModels(node: unknown, models: readonly JsonObject[]): unknown {
  if (Array.isArray(node)) return node.map((item) => withModels(item, models));
  if (node === null || typeof node !== 'object') return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      const isModel = key === 'model' && (value as JsonObject | null)?.['type'] === 'string';
      return [key, isModel ? { ...(value as JsonObject), oneOf: models } : withModels(value, models)];
    }),
  );
}
