import { Guest } from './support/guest.ts';
for (const n of process.argv.slice(2)) {
const g = new Guest(`/tmp/bx/${n}.elf`, { cpus: 1 });
g.run({ instructions: 3e7 });
process.stdout.write(g.console);
for (const l of g.log) console.log('#', l);
console.log('#', JSON.stringify(g.partition.end, (k, v) => typeof v === 'bigint' ? v.toString(16) : v).slice(0, 300));
}
