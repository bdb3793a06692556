// Shared Ethernet under the drivers that Debian's kernel has for virtio-net and the e1000: switch, VLANs, gateway, recordings.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LinuxImages } from '../src/host/node/initramfs.ts';
import { driverImages } from './support/driver-images.ts';
import { linuxPartition, SHELL_PROMPT } from './support/linux.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { IPERF3, PING, tshark, VIRTIO_PCI_MODULES } from './support/network-programs.ts';
import { ifAvailable } from './support/packages.ts';
import { eventually, shell } from './support/shell.ts';

/** Each takes seconds; this allows for a machine that has other things to do. */
const TIMEOUT = 400_000;
const MODULES = [
  ...VIRTIO_PCI_MODULES,
  '../net/core/failover',
  'net/net_failover',
  'net/virtio_net',
  'net/ethernet/intel/e1000/e1000',
  '../net/llc/llc',
  '../net/802/stp',
  '../net/802/garp',
  '../net/802/mrp',
  '../net/8021q/8021q',
];

/** Echo requests of a flood: some seconds' worth. */
const FLOOD = 2000;

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-shared-network-'));
const recording = join(folder, 'lan.pcapng');
afterAll(() => rmSync(folder, { recursive: true }));

/** What udhcpc calls with what it was given. */
const DHCP_SCRIPT = `printf '#!/bin/sh\\n[ "$1" = bound ] || exit 0\\nip addr add $ip/$mask dev $interface\\nip route add default via $router\\necho nameserver $dns > /etc/resolv.conf\\n' > /tmp/dhcp; chmod +x /tmp/dhcp; mkdir -p /etc`;

function machine(images: LinuxImages, ports: { forward: number; server: number }): LiveMachine {
  const partition = (name: string, core: number, model: string): string =>
    linuxPartition(images, name, core, '256MiB', [`lan: { ${model}shared: lan }`, 'plant: { shared: plant }']);
  return new LiveMachine(
    machineOf(`
version: 1
machine: pair
board: { cores: 2, memory: 1GiB }
shared:
  lan:
    kind: ethernet
    uplink: nat
    network: 10.0.2.0/24
    forwards: [ { host: ${ports.forward}, partition: left, port: 7000 } ]
    loopback: [${ports.server}]
    capture: ${recording}
    grants: { left: { mac: 02:00:00:00:00:11 }, right: { mac: 02:00:00:00:00:12 } }
  plant:
    kind: ethernet
    grants: { left: { vlan: 10 }, right: { vlan: { trunk: [10, 20] } } }
partitions:${partition('left', 0, '')}${partition('right', 1, 'model: e1000, ')}
`),
    'host',
  );
}

/** A port of the host that nobody has now. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const images = await ifAvailable('Debian’s generic kernel with its virtio drivers, iperf3 and ping', () =>
  driverImages('shared-network', MODULES, [...new Set([...IPERF3, ...PING])]),
);

const PAGE = Buffer.alloc(700_000, 'the quick brown fox jumps over the lazy dog. ');

describe.skipIf(images === undefined)('two partitions on a shared network with a gateway, and on one with VLANs', () => {
  let live: LiveMachine;
  let server: Server;
  let ports: { forward: number; server: number };
  const run = (name: 'left' | 'right', command: string): Promise<string> => shell(live, name, command, TIMEOUT * 0.9);

  beforeAll(async () => {
    server = createServer((_, response) => response.end(PAGE));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports = { forward: await freePort(), server: (server.address() as { port: number }).port };
    live = machine(images!, ports);
    live.running.startAll();
    for (const name of ['left', 'right'] as const) {
      await eventually(`${name} has a shell`, () => live.console(name).includes(SHELL_PROMPT), () => live.console(name), TIMEOUT * 0.9);
      await run(name, `for module in ${MODULES.map((path) => path.split('/').at(-1)).join(' ')}; do insmod /modules/$module.ko || break; done && ${DHCP_SCRIPT}`);
    }
  }, TIMEOUT);
  afterAll(async () => {
    server?.close();
    await live?.[Symbol.asyncDispose]();
  }, TIMEOUT);

  /** The name that a guest's kernel gave its controller, by driver. */
  const interfaceOf = async (name: 'left' | 'right', address: string): Promise<string> => (await run(name, `grep -l ${address} /sys/class/net/*/address | cut -d/ -f5`)).trim();

  it('have the addresses that were granted, and get their IP addresses by DHCP', { timeout: TIMEOUT }, async () => {
    for (const [name, mac, ip] of [['left', '02:00:00:00:00:11', '10.0.2.15'], ['right', '02:00:00:00:00:12', '10.0.2.16']] as const) {
      const lan = await interfaceOf(name, mac);
      expect(await run(name, `ip link set ${lan} up; sleep 3; udhcpc -i ${lan} -s /tmp/dhcp -n -q -f 2>&1`)).toMatch(new RegExp(`lease of ${ip} obtained`));
    }
    expect(await run('left', 'ip route; cat /etc/resolv.conf')).toMatch(/default via 10\.0\.2\.2[\s\S]*nameserver 10\.0\.2\.3/);
  });

  it('ping each other and the gateway', { timeout: TIMEOUT }, async () => {
    expect(await run('left', 'ping -c 3 -i 0.2 10.0.2.16')).toMatch(/3 packets transmitted, 3 packets received/);
    expect(await run('right', 'ping -c 3 -i 0.2 10.0.2.15')).toMatch(/3 packets transmitted, 3 packets received/);
    expect(await run('left', 'ping -c 500 -A -q 10.0.2.2')).toMatch(/500 packets transmitted, 500 packets received/);
    expect(await run('right', 'ping -c 500 -A -q 10.0.2.15')).toMatch(/500 packets transmitted, 500 packets received/);
  });

  it('flood each other and the gateway with pings, of which none is lost', { timeout: TIMEOUT }, async () => {
    const lines: string[] = [];
    for (const [name, whom, to] of [['left', 'right', '10.0.2.16'], ['right', 'left', '10.0.2.15'], ['left', 'the gateway', '10.0.2.2']] as const) {
      const told = await run(name, `iputils-ping -f -q -c ${FLOOD} ${to}`);
      expect(told).toMatch(new RegExp(`${FLOOD} packets transmitted, ${FLOOD} received, 0% packet loss`));
      const [, min, average, max] = /= ([\d.]+)\/([\d.]+)\/([\d.]+)\//.exec(told) ?? [];
      lines.push(`${name} to ${whom}: ${FLOOD} echoes, round trip ${min} to ${max} ms, on average ${average}`);
    }
    console.log(lines.join('\n'));
    const missed = live.running.ports().filter(({ resource }) => resource === 'lan').map(({ counters }) => counters['missed']);
    expect(missed).toEqual([0, 0, 0]);
  });

  it.each(['left', 'right'] as const)('fetch a page from a server on the host’s loopback (%s)', { timeout: TIMEOUT }, async (name) => {
    expect(await run(name, `wget -q -O - http://10.0.2.2:${ports.server}/ | md5sum`)).toBe(execFileSync('md5sum', { input: PAGE, encoding: 'utf8' }));
  });

  it('do not reach what is not open on the host', { timeout: TIMEOUT }, async () => {
    expect(await run('left', `nc -w 5 10.0.2.2 ${ports.forward} < /dev/null 2>&1; true`)).toMatch(/refused/);
  });

  it('are reached from the host through a forwarded port', { timeout: TIMEOUT }, async () => {
    const answered = run('left', 'echo hello from left | nc -l -p 7000');
    const heard = await new Promise<string>((resolve, reject) => {
      const attempt = (): void => {
        let text = '';
        const socket = connect(ports.forward, '127.0.0.1', () => socket.write('good evening\n'));
        socket.on('data', (bytes) => (text += bytes.toString()));
        socket.on('error', () => undefined);
        socket.on('end', () => socket.end());
        socket.on('close', () => (text === '' ? setTimeout(attempt, 200) : resolve(text)));
      };
      attempt();
      setTimeout(() => reject(new Error('nobody answers')), TIMEOUT * 0.5).unref();
    });
    expect(heard).toBe('hello from left\n');
    expect(await answered).toBe('good evening\n');
  });

  it('on different VLANs do not see each other, on the same one they do', { timeout: TIMEOUT }, async () => {
    const plant = { left: '', right: '' };
    for (const name of ['left', 'right'] as const) plant[name] = (await run(name, `ls /sys/class/net | grep eth | while read n; do grep -q 02:00:00:00:00:1 /sys/class/net/$n/address || echo $n; done`)).trim();
    await run('left', `ip addr add 10.1.0.1/16 dev ${plant.left} && ip link set ${plant.left} up`);
    await run('right', `ip link set ${plant.right} up; for vlan in 10 20; do vconfig add ${plant.right} $vlan && ip link set ${plant.right}.$vlan up; done; ip addr add 10.1.0.2/16 dev ${plant.right}.20`);
    expect(await run('left', 'ping -c 2 -W 1 10.1.0.2; true')).toMatch(/2 packets transmitted, 0 packets received/);
    await run('right', `ip addr del 10.1.0.2/16 dev ${plant.right}.20; ip addr add 10.1.0.2/16 dev ${plant.right}.10`);
    expect(await run('left', 'ping -c 2 -W 2 10.1.0.2')).toMatch(/2 packets transmitted, 2 packets received/);
  });

  it('measure what TCP and UDP carry with iperf3', { timeout: TIMEOUT }, async () => {
    await run('right', 'iperf3 -s -D -p 5201');
    const tcp = JSON.parse(await run('left', 'iperf3 -c 10.1.0.2 -t 3 -J')) as { end: { sum_received: { bits_per_second: number; bytes: number } } };
    expect(tcp.end.sum_received.bytes).toBeGreaterThan(1_000_000);
    // iperf3 gives up when a guest of a busy host is slow to answer its control connection: that says nothing about frames.
    type UdpResult = { readonly error?: string; readonly end: { readonly sum?: { readonly lost_percent: number; readonly packets: number } } };
    let udp: UdpResult = { end: {} };
    for (let attempt = 0; attempt < 3 && udp.end.sum === undefined; attempt++) udp = JSON.parse(await run('left', 'iperf3 -c 10.1.0.2 -u -b 2M -t 2 -J; true')) as UdpResult;
    expect(udp.error).toBeUndefined();
    expect(udp.end.sum?.packets).toBeGreaterThan(100);
    expect(udp.end.sum?.lost_percent).toBeLessThan(5);
    console.log(`between two partitions: TCP ${(tcp.end.sum_received.bits_per_second / 1e6).toFixed(0)} Mbit/s, UDP ${udp.end.sum?.lost_percent.toFixed(2)} % lost of ${udp.end.sum?.packets} packets`);
  });

  it('leave a recording that tshark reads without a malformed packet', { timeout: TIMEOUT }, async () => {
    await live[Symbol.asyncDispose]();
    const reader = await ifAvailable('tshark, to read the recording', tshark);
    if (reader === undefined) return;
    const all = reader(['-r', recording, '-T', 'fields', '-e', 'frame.interface_name', '-e', '_ws.col.Protocol', '-e', '_ws.malformed']).trimEnd().split('\n');
    const interfaces = new Set(all.map((line) => line.split('\t')[0]));
    expect([...interfaces].toSorted()).toEqual(['left', 'right', 'uplink']);
    expect(all.filter((line) => (line.split('\t')[2] ?? '') !== '')).toEqual([]);
    const protocols = new Set(all.map((line) => line.split('\t')[1]));
    for (const protocol of ['ARP', 'DHCP', 'ICMP', 'TCP', 'HTTP']) expect(protocols).toContain(protocol);
  });
});
