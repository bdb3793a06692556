// MONITOR and MWAIT (SDM 2B; SDM 3A §9.10): what arms a line, what ends the wait, what is refused.
import { beforeEach, describe, expect, it } from 'vitest';
import { ExitReason, type PhysicalMemory, type Vcpu, type VcpuState, type Vm } from '../../contracts/index.ts';
import { CR0_PE, CR0_PG } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION, INVALID_OPCODE, PAGE_FAULT, STACK_FAULT } from '../../x86/vectors.ts';
import { createCpuidModel, createSoftEngine } from '../index.ts';
import { RAM_BYTES, TestMachine } from '../testing.ts';
import { MISC_ENABLE_MONITOR } from './monitor.ts';
import { silentWiring } from '../testing.ts';

const LINE = 0x6000;

describe('MONITOR', () => {
  let m: TestMachine;
  const armed = (): number => (m.codePages.armedLine === 0 ? -1 : m.codePages.armedLine - m.memory.offsetOf(0, 1));
  beforeEach(() => {
    m = new TestMachine();
    m.enterProtected();
    m.core.set64(S.MSR_MISC_ENABLE, BigInt(MISC_ENABLE_MONITOR));
    m.setRegister(S.RAX, LINE + 37);
  });

  it('arms the 64 bytes around DS:rAX', () => {
    expect([m.run('monitor'), armed(), m.core.get32(S.ACTIVITY)]).toEqual([-1, LINE, S.ACTIVITY_RUNNING]);
  });

  it('takes another segment by prefix, and 16 bits of the address', () => {
    m.segment(S.FS, 0x18, 0x1000, 0xffff, 0x93);
    m.setRegister(S.RAX, 0x1234_0040);
    expect([m.run('monitor', { segment: S.FS, addressBits: 16 }), armed()]).toEqual([-1, 0x1040]);
  });

  it('arms nothing in device memory, where MWAIT then does not wait', () => {
    m.setRegister(S.RAX, RAM_BYTES + 0x1000);
    expect([m.run('monitor'), armed(), m.run('mwait'), m.core.get32(S.ACTIVITY)]).toEqual([-1, -1, -1, S.ACTIVITY_RUNNING]);
  });

  it('faults as a load of one byte: limit, stack segment, page; and for any extension in ECX', () => {
    m.segment(S.DS, 0x10, 0, LINE, 0x93);
    expect([m.run('monitor'), m.errorCode]).toEqual([GENERAL_PROTECTION, 0]);
    m.segment(S.SS, 0x10, 0, LINE, 0x93);
    expect([m.run('monitor', { segment: S.SS }), m.errorCode]).toEqual([STACK_FAULT, 0]);
    m.enterProtected();
    m.setRegister(S.RCX, 1);
    expect([m.run('monitor'), m.errorCode]).toEqual([GENERAL_PROTECTION, 0]);
    m.setRegister(S.RCX, 0);
    m.core.set32(S.CR0, CR0_PE | CR0_PG);
    m.core.setNumber(S.CR3, RAM_BYTES - 0x1000);
    m.core.mmu.flush();
    expect([m.run('monitor'), m.errorCode]).toEqual([PAGE_FAULT, 0]);
  });

  it.each(['monitor', 'mwait'])('%s is undefined above level 0, and where IA32_MISC_ENABLE switches it off', (mnemonic) => {
    m.enterProtected(3);
    expect(m.run(mnemonic)).toBe(INVALID_OPCODE);
    m.enterProtected(0);
    m.core.set64(S.MSR_MISC_ENABLE, 0n);
    expect(m.run(mnemonic)).toBe(INVALID_OPCODE);
  });

  it('is gone from CPUID then', () => {
    Object.assign(m.wiring, { cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1 }) });
    const shown = (): bigint => {
      m.setRegister(S.RAX, 1);
      m.run('cpuid');
      return (m.register(S.RCX) >> 3n) & 1n;
    };
    expect(shown()).toBe(1n);
    m.core.set64(S.MSR_MISC_ENABLE, 0n);
    expect(shown()).toBe(0n);
  });
});

describe('MWAIT', () => {
  let m: TestMachine;
  beforeEach(() => {
    m = new TestMachine();
    m.enterLong();
    m.core.set64(S.MSR_MISC_ENABLE, BigInt(MISC_ENABLE_MONITOR));
    m.setRegister(S.RAX, LINE);
  });

  it('does not wait without an armed line', () => {
    expect([m.run('mwait'), m.core.get32(S.ACTIVITY)]).toEqual([-1, S.ACTIVITY_RUNNING]);
  });

  it('knows one extension; any other bit of RCX is refused', () => {
    m.run('monitor');
    for (const rcx of [2n, 0x8000_0000n, 1n << 32n]) {
      m.setRegister(S.RCX, rcx);
      expect([m.run('mwait'), m.errorCode]).toEqual([GENERAL_PROTECTION, 0]);
    }
    m.setRegister(S.RCX, 1);
    expect([m.run('mwait'), m.core.get32(S.ACTIVITY)]).toEqual([-1, S.ACTIVITY_MWAIT]);
  });
});

describe('two cores', () => {
  const SLEEPER = 0x1000;
  const OTHER = 0x2000;
  const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
  /** mov eax, LINE; xor ecx, ecx; xor edx, edx; monitor; mwait; inc ebx; jmp to the beginning */
  const WAIT = 'b8 00 60 00 00  31 c9  31 d2  0f 01 c8  0f 01 c9  43  eb ed';
  let memory: PhysicalMemory;
  let vm: Vm;
  let cores: readonly Vcpu[];

  beforeEach(() => {
    const engine = createSoftEngine();
    memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 2);
    vm = engine.createVm(memory, 2, { log: () => undefined });
    cores = [0, 1].map((vcpuId) =>
      vm.createVcpu(vcpuId, silentWiring({
        io: { read: () => 0xff, write: () => undefined },
        cpuid: createCpuidModel({ vcpuId, vcpus: 2 }),
      })),
    );
  });

  function start(core: number, at: number, hex: string, rflags = 2n): void {
    const code = Uint8Array.from(hex.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));
    memory.write(at, code);
    vm.memoryChanged(at, code.length);
    const vcpu = cores[core] as Vcpu;
    const before = vcpu.readState();
    const data = flat(16, 0xc093);
    vcpu.writeState({
      ...before, rip: BigInt(at), rflags, cr0: 1n,
      segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
    });
  }
  const run = (core: number, budget: number): ExitReason => (cores[core] as Vcpu).run(budget);
  const awake = (): boolean => (cores[0] as Vcpu).awake;
  const rounds = (): number => Number((cores[0] as Vcpu).readState().gpr[S.RBX]);

  it('one sleeps until the other stores to the line, wherever in it, and then goes on behind MWAIT', () => {
    start(0, SLEEPER, WAIT);
    // mov [LINE + 60], al; jmp back
    start(1, OTHER, 'a2 3c 60 00 00  eb f9');
    for (const round of [1, 2, 3]) {
      expect([run(0, 100), awake()]).toEqual([ExitReason.Halt, false]);
      expect([run(0, 100), (cores[0] as Vcpu).retired]).toEqual([ExitReason.Halt, 0]);
      run(1, 2);
      expect([awake(), run(0, 1), rounds()]).toEqual([true, ExitReason.Budget, round]);
    }
  });

  it('stores beside the line, to the same page, do not wake it', () => {
    start(0, SLEEPER, WAIT);
    start(1, OTHER, 'a2 ff 5f 00 00  a2 40 60 00 00  eb f4');
    run(0, 100);
    run(1, 300);
    expect([awake(), run(0, 100)]).toEqual([false, ExitReason.Halt]);
  });

  it('a store that was made before, through a translation that is known, does not hide the next one', () => {
    start(0, SLEEPER, WAIT);
    start(1, OTHER, 'a2 00 60 00 00  eb f9');
    run(1, 100);
    run(0, 100);
    expect(awake()).toBe(false);
    run(1, 2);
    expect(awake()).toBe(true);
  });

  it('a store of the value that is there already is a store; so is one that reaches into the line from before it', () => {
    // mov [LINE − 2], eax with EAX as it is in memory
    for (const store of ['a3 00 60 00 00', 'a3 fe 5f 00 00', 'f0 01 05 20 60 00 00', '60']) {
      start(0, SLEEPER, WAIT);
      run(0, 100);
      start(1, OTHER, `bc 20 60 00 00  ${store}  eb fe`);
      run(1, 2);
      expect([store, awake()]).toEqual([store, true]);
    }
  });

  it('a store between MONITOR and MWAIT is not missed', () => {
    start(0, SLEEPER, WAIT);
    run(0, 4);
    start(1, OTHER, 'a2 00 60 00 00  eb fe');
    run(1, 1);
    expect([run(0, 3), rounds()]).toEqual([ExitReason.Budget, 1]);
  });

  it('a device that writes the line wakes it', () => {
    start(0, SLEEPER, WAIT);
    run(0, 100);
    vm.memoryChanged(LINE + 64, 4);
    expect(awake()).toBe(false);
    vm.memoryChanged(LINE - 100, 200);
    expect(awake()).toBe(true);
  });

  it('an interrupt that is masked ends the wait only when ECX asks for that', () => {
    for (const [ecx, expected] of [['00', ExitReason.Halt], ['01', ExitReason.Budget]] as const) {
      start(0, SLEEPER, `b8 00 60 00 00  31 c9  0f 01 c8  b1 ${ecx}  0f 01 c9  eb fe`);
      expect([run(0, 100), (cores[0] as Vcpu).canWake]).toEqual([ExitReason.Halt, true]);
      (cores[0] as Vcpu).setInterruptPin(true);
      expect(run(0, 100)).toBe(expected);
      (cores[0] as Vcpu).setInterruptPin(false);
    }
  });

  it('INIT ends it for good: a store wakes nobody then', () => {
    start(0, SLEEPER, WAIT);
    run(0, 100);
    (cores[0] as Vcpu).inject({ kind: 'init' });
    expect(run(0, 100)).toBe(ExitReason.WaitForSipi);
    start(1, OTHER, 'a2 00 60 00 00  eb fe');
    run(1, 2);
    expect(run(0, 100)).toBe(ExitReason.WaitForSipi);
  });
});
