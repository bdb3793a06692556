/** `bulkhead schema`: the JSON Schema of the manifest, for editors. */
import { manifestJsonSchema } from '../../manifest/index.ts';
import type { CliCommand } from '../command.ts';
import { DEVICE_CATALOGUE } from '../device-catalogue.ts';
import { exitStatus } from '../exit-codes.ts';

export const schema: CliCommand = {
  register(program, io, run) {
    program
      .command('schema')
      .description('print the JSON Schema of the manifest language, for editors')
      .action(
        run(() => {
          io.out.write(`${JSON.stringify(manifestJsonSchema(DEVICE_CATALOGUE), null, 2)}\n`);
          return exitStatus('ok');
        }),
      );
  },
};
