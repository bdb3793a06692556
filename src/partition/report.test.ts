import { describe, expect, it } from 'vitest';
import type { SegmentState, VcpuState } from '../contracts/index.ts';
import { type CrashReport, crashReportToJson, renderCrashReport } from './report.ts';

const segment = (attributes: number): SegmentState => ({ selector: 0x10, base: 0n, limit: 0xffff_ffff, attributes });

function state(overrides: Partial<VcpuState>, code = 0xc09b): VcpuState {
  const data = segment(0xc093);
  return {
    gpr: Array.from({ length: 16 }, (_, i) => BigInt(i) << 4n),
    rip: 0xffff_ffff_8100_0000n,
    rflags: 0x246n,
    segments: { cs: segment(code), ss: data, ds: data, es: data, fs: data, gs: data, ldtr: segment(1 << 16), tr: data },
    gdtr: { base: 0x1000n, limit: 0x7f },
    idtr: { base: 0x2000n, limit: 0xfff },
    cr0: 0x8005_0033n,
    cr2: 0xdead_beefn,
    cr3: 0x9000n,
    cr4: 0x20n,
    efer: 0n,
    ...overrides,
  };
}

function report(vcpu: VcpuState): CrashReport {
  return {
    partition: 'control',
    kind: 'triple-fault',
    cause: 'triple fault',
    vcpu: 0,
    guestTime: 1_500_000_000,
    retired: 1_500_000_000,
    vcpus: [{ id: 0, retired: 1_500_000_000, parked: false, state: vcpu }],
  };
}

describe('as text', () => {
  it('begins with the partition, the cause and how far it came', () => {
    const lines = renderCrashReport(report(state({}))).split('\n');
    expect(lines[0]).toBe('partition control crashed on vCPU 0: triple fault');
    expect(lines[1]).toBe('after 1,500,000,000 instructions, 1.500000 s of guest time');
  });

  it.each([
    ['real mode', state({ cr0: 0x10n })],
    ['32-bit protected mode,', state({})],
    ['32-bit protected mode, no paging', state({ cr0: 0x11n })],
    ['16-bit protected mode', state({}, 0x9b)],
    ['64-bit mode', state({ efer: 0xd00n }, 0xa09b)],
    ['compatibility mode', state({ efer: 0xd00n })],
  ])('names the mode: %s', (words, vcpu) => {
    expect(renderCrashReport(report(vcpu))).toContain(`vCPU 0 (crashed): ${words}`);
  });

  it('shows registers in the width of the mode, and flags by name', () => {
    const long = renderCrashReport(report(state({ efer: 0xd00n }, 0xa09b)));
    expect(long).toContain('RIP ffffffff81000000  RFLAGS 00000246 [IF ZF PF]');
    expect(long).toContain('R15 00000000000000f0');
    const legacy = renderCrashReport(report(state({ rip: 0xc010_0000n, rflags: 0x3002n })));
    expect(legacy).toContain('RIP c0100000  RFLAGS 00003002 [IOPL=3]');
    expect(legacy).not.toContain('R15');
  });

  it('marks segments that cannot be used', () => {
    expect(renderCrashReport(report(state({})))).toMatch(/LDTR 0010 .* unusable/);
  });
});

describe('as JSON', () => {
  it('keeps 64-bit values exact', () => {
    const parsed = JSON.parse(crashReportToJson(report(state({}))));
    expect(parsed.vcpus[0].state.rip).toBe('0xffffffff81000000');
    expect(parsed.retired).toBe(1_500_000_000);
  });
});
