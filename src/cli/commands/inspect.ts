/** `bulkhead inspect map|cpu|irq|devices FILE`: the plan of a machine as tables, before it runs. */
import type { Command } from 'commander';
import type { IoRange, Machine, Partition } from '../../contracts/index.ts';
import { formatRange, formatSize } from '../../manifest/index.ts';
import type { CliCommand, CliIo, RunAction } from '../command.ts';
import { DEVICE_CATALOGUE } from '../device-catalogue.ts';
import { exitStatus } from '../exit-codes.ts';
import { renderFindings } from '../findings.ts';
import { compileFile } from '../manifest-file.ts';
import { paintFor } from '../style.ts';
import { type Column, table } from '../table.ts';

interface Section {
  /** Key in the JSON document; in words it is the heading. */
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

interface View {
  readonly name: string;
  readonly description: string;
  sections(machine: Machine): readonly Section[];
}

const left = (title: string): Column => ({ title });
const right = (title: string): Column => ({ title, align: 'right' });

const VIEWS: readonly View[] = [
  { name: 'map', description: 'who owns which RAM, ports and addresses', sections: (machine) => [ramSection(machine), boardIoSection(machine), guestIoSection(machine)] },
  { name: 'cpu', description: 'who owns which core', sections: (machine) => [cpuSection(machine)] },
  { name: 'irq', description: 'who owns which interrupt line', sections: (machine) => [boardLineSection(machine), guestLineSection(machine)] },
  { name: 'devices', description: 'the devices of each partition; without FILE, the models there are', sections: (machine) => [deviceSection(machine)] },
];

export const inspect: CliCommand = {
  register(program, io, run) {
    const parent = program.command('inspect').description('show the plan of a machine as tables');
    for (const view of VIEWS) addView(parent, view, io, run);
  },
};

function addView(parent: Command, view: View, io: CliIo, run: RunAction): void {
  parent
    .command(view.name)
    .description(view.description)
    .argument(view.name === 'devices' ? '[file]' : '<file>', 'the manifest (YAML or JSON)')
    .option('--json', 'print one JSON document')
    .action(
      run((file: string | undefined, options: { readonly json?: true }) => {
        if (file === undefined) {
          show([modelSection()], options, io);
          return exitStatus('ok');
        }
        const { machine, findings, text } = compileFile(file);
        if (findings.length > 0) io.err.write(`${renderFindings(findings, text, paintFor(io.err, io.environment))}\n`);
        if (machine === undefined) return exitStatus('manifestInvalid');
        show(view.sections(machine), options, io);
        return exitStatus('ok');
      }),
    );
}

function show(sections: readonly Section[], options: { readonly json?: true }, io: CliIo): void {
  if (options.json) {
    const records = sections.map(({ name, columns, rows }) => [
      name,
      rows.map((row) => Object.fromEntries(columns.map((column, index) => [column.title, row[index] ?? '']))),
    ]);
    io.out.write(`${JSON.stringify(Object.fromEntries(records), null, 2)}\n`);
    return;
  }
  const paint = paintFor(io.out, io.environment);
  const shown = sections.filter((section) => section.rows.length > 0 || sections.length === 1);
  io.out.write(shown.map(({ name, columns, rows }) => `${paint('bold', name)}\n${table(columns, rows)}`).join('\n'));
}

function ramSection({ board, partitions }: Machine): Section {
  const owned = partitions.map(({ name, memory }) => ({ owner: name, ...memory })).sort((a, b) => a.base - b.base);
  const rows: string[][] = [];
  let reached = 0;
  const row = (base: number, size: number, owner: string): number => rows.push([formatRange(base, size), formatSize(size), owner]);
  for (const { base, size, owner } of owned) {
    if (base > reached) row(reached, base - reached, '(free)');
    row(base, size, owner);
    reached = base + size;
  }
  if (reached < board.memory) row(reached, board.memory - reached, '(free)');
  return { name: 'board RAM', columns: [left('range'), right('size'), left('owner')], rows };
}

const SPACES = { pio: 'port', mmio: 'mmio' } as const;

function rangeCells({ space, base, size }: IoRange): [space: string, range: string, size: string] {
  return [SPACES[space], formatRange(base, size), formatSize(size)];
}

const byAddress = (a: { readonly range: IoRange }, b: { readonly range: IoRange }): number =>
  b.range.space.localeCompare(a.range.space) || a.range.base - b.range.base;

function boardIoSection({ board }: Machine): Section {
  const rows = (board.devices ?? [])
    .flatMap((device) => device.ranges.map((range) => ({ range, device })))
    .sort(byAddress)
    .map(({ range, device }) => [...rangeCells(range), device.name, device.model, device.owner ?? '(nobody)']);
  return { name: 'board ports and addresses', columns: [left('space'), left('range'), right('size'), left('device'), left('model'), left('owner')], rows };
}

/** Neither ports nor addresses of its own: firmware, or the board in its place, puts it into the PCI window. */
const isOnPci = ({ board, ranges, irqs }: Partition['devices'][number]): boolean => board === undefined && ranges.length === 0 && irqs.length === 0;

function guestIoSection({ partitions }: Machine): Section {
  const platform = DEVICE_CATALOGUE.platform.flatMap(({ name, ranges }) => ranges.map((range) => ({ range, device: name, model: '(platform)' })));
  const rows = partitions.flatMap(({ name, devices }) =>
    [...platform, ...devices.flatMap((device) => device.ranges.map((range) => ({ range, device: device.name, model: modelCell(device) })))]
      .sort(byAddress)
      .map(({ range, device, model }) => [name, ...rangeCells(range), device, model])
      .concat(devices.filter(isOnPci).map((device) => [name, 'pci', '(from its base addresses)', '', device.name, modelCell(device)])),
  );
  return {
    name: 'what each guest sees',
    columns: [left('partition'), left('space'), left('range'), right('size'), left('device'), left('model')],
    rows,
  };
}

function modelCell(device: Partition['devices'][number]): string {
  return device.board === undefined ? device.model : `${device.model} (board: ${device.board})`;
}

function cpuSection({ board, partitions }: Machine): Section {
  const rows = Array.from({ length: board.cores }, (_, core) => {
    const owner = partitions.find((partition) => partition.cores.includes(core));
    if (owner === undefined) return [String(core), '(free)', '', '', '', ''];
    return [String(core), owner.name, owner.role, String(owner.cores.indexOf(core)), owner.engine, `${owner.instructionsPerMicrosecond}MIPS`];
  });
  return { name: 'cores', columns: [right('core'), left('owner'), left('role'), right('vCPU'), left('engine'), right('speed')], rows };
}

function boardLineSection({ board }: Machine): Section {
  const rows = (board.devices ?? [])
    .flatMap((device) => device.irqs.map((irq) => ({ irq, device })))
    .sort((a, b) => a.irq - b.irq)
    .map(({ irq, device }) => [String(irq), device.name, device.owner ?? '(nobody)']);
  return { name: 'board interrupt lines', columns: [right('line'), left('device'), left('owner')], rows };
}

function guestLineSection({ partitions }: Machine): Section {
  const platform = DEVICE_CATALOGUE.platform.flatMap(({ name, irqs }) => irqs.map((irq) => ({ irq, device: name, model: '(platform)' })));
  const rows = partitions.flatMap(({ name, devices }) =>
    [...platform, ...devices.flatMap((device) => device.irqs.map((irq) => ({ irq, device: device.name, model: modelCell(device) })))]
      .sort((a, b) => a.irq - b.irq)
      .map(({ irq, device, model }) => [name, String(irq), device, model]),
  );
  return { name: 'what each guest sees', columns: [left('partition'), right('line'), left('device'), left('model')], rows };
}

function deviceSection({ partitions }: Machine): Section {
  const rows = partitions.flatMap(({ name, devices, console }) =>
    devices.map((device) => [
      name,
      device.name === console ? `${device.name} (console)` : device.name,
      modelCell(device),
      isOnPci(device) ? 'PCI' : device.ranges.map((range) => formatRange(range.base, range.size)).join(' '),
      device.irqs.join(' '),
      [...(device.shared === undefined ? [] : [`shared=${device.shared}`]), ...(device.exclusive === undefined ? [] : [`exclusive=${device.exclusive.name}`]), ...Object.entries(device.options).map(([key, value]) => `${key}=${value}`)].join(' '),
    ]),
  );
  return { name: 'devices', columns: [left('partition'), left('device'), left('model'), left('at'), left('lines'), left('options')], rows };
}

function modelSection(): Section {
  const rows = Object.entries(DEVICE_CATALOGUE.models).map(([name, { title, places, options }]) => [
    name,
    title,
    places.map(({ ranges, irqs }) => (ranges.length + irqs.length === 0 ? 'PCI' : ranges.map((range) => formatRange(range.base, range.size)).join(' '))).join(', '),
    places.map(({ irqs }) => irqs.join(' ')).join(', '),
    Object.entries(options).map(([key, option]) => `${key}=${option.default}`).join(' '),
  ]);
  return { name: 'device models', columns: [left('model'), left('what it is'), left('usual places'), left('lines'), left('options')], rows };
}
