// SDM 3A chapter 4: the three forms of paging, access rights, page faults, accessed and dirty flags; and the software TLB over them.
import { beforeEach, describe, expect, it } from 'vitest';
import { CR0_AM, CR0_PE, CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from '../x86/control.ts';
import { featuresOf } from '../x86/features.ts';
import { AC } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { ALIGNMENT_CHECK, GENERAL_PROTECTION, PAGE_FAULT } from '../x86/vectors.ts';
import { createCpuidModel } from './cpuid.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from './layout.ts';
import { loadPageDirectoryPointers } from './paging-registers.ts';
import { RAM_BYTES, TestMachine } from './testing.ts';

const PRESENT = 1,
  WRITE = 2,
  USER = 4,
  ACCESSED = 0x20,
  DIRTY = 0x40,
  LARGE = 0x80,
  GLOBAL = 0x100;
const NO_EXECUTE = 1n << 63n;

let m: TestMachine;
beforeEach(() => {
  m = new TestMachine();
});

function page(linear: number | bigint): { fault: number; code: number | undefined; cr2: bigint } {
  const fault = m.attempt(() => m.core.mmu.load32(Number(linear)));
  return { fault, code: m.errorCode, cr2: m.core.get64(S.CR2) };
}

function setPaging(cr4: number, efer: number, cr0 = CR0_PG | CR0_PE | CR0_WP): void {
  m.core.set32(S.CR0, cr0);
  m.core.set32(S.CR4, cr4);
  m.core.set32(S.EFER, efer);
  m.core.setNumber(S.CR3, 0x1000);
  m.core.mmu.flush();
}

function setCpl(cpl: number): void {
  m.core.set32(S.CPL, cpl);
  m.core.mmu.setPrivilege();
}

/** What generated code would find: the host offset, or undefined on a miss. */
function tlbLookup(field: number, linear: number): number | undefined {
  const tag = linear - (((linear % 4096) + 4096) % 4096);
  const entry = m.core.get32(field) + ((linear >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
  if (m.core.view.getBigInt64(entry, true) !== BigInt(tag)) return undefined;
  return ((linear | 0) + m.core.view.getInt32(entry + 8, true)) >>> 0;
}

describe('without paging', () => {
  it('linear addresses are physical ones', () => {
    m.write32(0x1234, 0xdeadbeef);
    expect(m.core.mmu.load32(0x1234)).toBe(0xdeadbeef);
    expect(tlbLookup(S.TLB_READ, 0x1238)).toBe(m.memory.offsetOf(0x1238, 1));
    expect(tlbLookup(S.TLB_WRITE, 0x1238)).toBeUndefined();
  });

  it('an access across a page boundary is put together from both pages', () => {
    m.write32(0x1ffe, 0x44332211);
    expect(m.core.mmu.load32(0x1ffe)).toBe(0x44332211);
    m.core.mmu.store64(0x1ffd, 0x8877665544332211n);
    expect(m.read64(0x1ffd)).toBe(0x8877665544332211n);
  });
});

describe('32-bit paging', () => {
  beforeEach(() => {
    m.write32(0x1000, 0x2000 | PRESENT | WRITE | USER);
    m.write32(0x1000 + 4, 0x0040_0000 | PRESENT | WRITE | LARGE | GLOBAL);
    m.write32(0x2000 + 4 * 5, 0x0000_7000 | PRESENT | WRITE | USER);
    m.write32(0x2000 + 4 * 6, 0x0000_8000 | PRESENT | USER);
    m.write32(0x2000 + 4 * 7, 0x0000_9000 | PRESENT | WRITE);
    setPaging(CR4_PSE, 0);
  });

  it('walks two levels and marks both accessed, and the page dirty on a write only', () => {
    m.write32(0x7010, 77);
    expect(m.core.mmu.load32(0x5010)).toBe(77);
    expect([m.read32(0x1000) & 0x60, m.read32(0x2014) & 0x60]).toEqual([ACCESSED, ACCESSED]);
    m.core.mmu.store32(0x5010, 78);
    expect([m.read32(0x7010), m.read32(0x1000) & 0x60, m.read32(0x2014) & 0x60]).toEqual([78, ACCESSED, ACCESSED | DIRTY]);
  });

  it('reports a page that is not present, with CR2 and the access that was tried', () => {
    expect(page(0x4_2004)).toEqual({ fault: PAGE_FAULT, code: 0, cr2: 0x4_2004n });
    setCpl(3);
    expect(m.attempt(() => m.core.mmu.store8(0x4_2004, 1))).toBe(PAGE_FAULT);
    expect(m.errorCode).toBe(WRITE | USER);
  });

  it('keeps user code out of supervisor pages and off read-only ones', () => {
    setCpl(3);
    expect(page(0x7000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | USER });
    expect(page(0x6000).fault).toBe(-1);
    expect(m.attempt(() => m.core.mmu.store32(0x6000, 1))).toBe(PAGE_FAULT);
    expect(m.errorCode).toBe(PRESENT | WRITE | USER);
  });

  it('binds the supervisor to read-only pages with CR0.WP alone', () => {
    expect(m.attempt(() => m.core.mmu.store32(0x6000, 1))).toBe(PAGE_FAULT);
    expect(m.errorCode).toBe(PRESENT | WRITE);
    setPaging(CR4_PSE, 0, CR0_PG | CR0_PE);
    expect(m.attempt(() => m.core.mmu.store32(0x6000, 1))).toBe(-1);
  });

  it('lets descriptor-table accesses of user code through as the supervisor', () => {
    m.write32(0x9000, 0x1234);
    setCpl(3);
    expect(m.core.mmu.loadSystem32(0x7000)).toBe(0x1234);
    expect(page(0x7000).fault).toBe(PAGE_FAULT);
  });

  it('maps 4 MiB at once, PSE-36 bits above 4 GiB and bit 21 reserved', () => {
    m.wiring.values.set('mmio 40abc8', 0x5a5a);
    expect(m.core.mmu.load32(0x40_abc8)).toBe(0x5a5a);
    m.write32(0x1008, (3 << 13) | PRESENT | LARGE);
    m.core.mmu.load8(0x80_0000);
    expect(m.wiring.accesses.at(-1)).toBe('mmio read 300000000 1');
    m.write32(0x100c, (1 << 21) | PRESENT | LARGE);
    expect(page(0xc0_0000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | 8 });
  });

  it('reads a page table outside RAM as all ones', () => {
    m.write32(0x1010, 0xf000_0000 | PRESENT | WRITE | USER);
    m.wiring.values.set('mmio fffff123', 9);
    expect(m.core.mmu.load8(0x0100_0123)).toBe(9);
  });
});

describe('PAE paging', () => {
  beforeEach(() => {
    m.write64(0x1000, BigInt(0x2000 | PRESENT));
    m.write64(0x1018, BigInt(0x2000 | PRESENT));
    m.write64(0x2000, BigInt(0x3000 | PRESENT | WRITE | USER));
    m.write64(0x2008, BigInt(0x20_0000 | PRESENT | WRITE | LARGE));
    m.write64(0x3000 + 8 * 4, BigInt(0x6000 | PRESENT | WRITE | USER) | NO_EXECUTE);
    setPaging(CR4_PAE, EFER_NXE);
    loadPageDirectoryPointers(m.core, 0x1000);
  });

  it('walks from the PDPTE registers, whatever memory says since', () => {
    m.write64(0x1000, 0n);
    m.write32(0x6020, 0xabcd);
    expect(m.core.mmu.load32(0x4020)).toBe(0xabcd);
    expect(m.core.mmu.load32(0xc000_4020)).toBe(0xabcd);
    expect(page(0x4000_4020)).toMatchObject({ fault: PAGE_FAULT, code: 0 });
  });

  it('fetches not from a page with XD, and says it was a fetch', () => {
    expect(m.core.mmu.fetchSlow(0x4000, 0)).toBe(0);
    expect(m.errorCode).toBe(PRESENT | 16);
    expect(m.core.mmu.fetchSlow(0x20_0004, 0)).toBe(m.memory.offsetOf(0x20_0004, 1));
  });

  it('takes XD for a reserved bit while EFER.NXE is clear', () => {
    setPaging(CR4_PAE, 0);
    expect(page(0x4000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | 8 });
  });

  it('takes bits above the physical address, and 62:52, as reserved', () => {
    for (const bit of [40n, 51n, 52n, 62n]) {
      m.write64(0x3000 + 8 * 9, BigInt(0x6000 | PRESENT) | (1n << bit));
      expect(page(0x9000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | 8 });
    }
  });

  it('refuses PDPTEs with reserved bits and keeps the old ones', () => {
    m.write64(0x1008, 0x1002n | 1n);
    expect(m.attempt(() => loadPageDirectoryPointers(m.core, 0x1000))).toBe(GENERAL_PROTECTION);
    expect(page(0x4000).fault).toBe(-1);
  });
});

describe('4-level paging', () => {
  const HIGH = -0x8000_0000; // 0xffffffff80000000
  beforeEach(() => {
    m.enterLong();
    m.write64(0x1000, BigInt(0x2000 | PRESENT | WRITE | USER));
    m.write64(0x1000 + 8 * 511, BigInt(0x2000 | PRESENT | WRITE | USER));
    m.write64(0x2000, BigInt(0x3000 | PRESENT | WRITE | USER));
    m.write64(0x2000 + 8 * 510, BigInt(0x3000 | PRESENT | WRITE));
    m.write64(0x2000 + 8, BigInt(PRESENT | WRITE | USER | LARGE));
    m.write64(0x3000, BigInt(0x4000 | PRESENT | WRITE | USER));
    m.write64(0x4000 + 8 * 3, BigInt(0x7000 | PRESENT | WRITE | USER) | (5n << 52n));
    setPaging(CR4_PAE, EFER_LMA | EFER_NXE | 0x100);
  });

  it('walks four levels in both halves of the address space; bits 62:52 of an entry are free', () => {
    m.write32(0x7004, 42);
    expect(m.core.mmu.load32(0x3004)).toBe(42);
    expect(m.core.mmu.load32(HIGH + 0x3004)).toBe(42);
    expect(m.core.mmu.readSlow((HIGH + 0x3004) | 0, -1, 4)).toBe(m.memory.offsetOf(0x7004, 4));
    expect(tlbLookup(S.TLB_READ, HIGH + 0x3000)).toBe(m.memory.offsetOf(0x7000, 1));
  });

  it('maps 1 GiB at once', () => {
    m.write32(0x12_3458, 99);
    expect(m.core.mmu.load32(0x4012_3458)).toBe(99);
    m.write64(0x2010, BigInt(PRESENT | LARGE | 0x2000_0000));
    expect(page(0x8000_0000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | 8 });
  });

  it('has no pages of 1 GiB where CPUID does not announce them: the bit is reserved (SDM 3A §4.5.4)', () => {
    m.wiring.cpuid = createCpuidModel({ vcpuId: 0, vcpus: 1, features: featuresOf('x86-64-v2', { pdpe1gb: false }) });
    expect(page(0x4012_3458)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | 8 });
  });

  it('combines the rights of all levels', () => {
    setCpl(3);
    expect(page(0x3000).fault).toBe(-1);
    expect(page(HIGH + 0x3000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT | USER, cr2: 0xffff_ffff_8000_3000n });
  });

  it('raises #GP(0) for addresses that are not canonical, and for crossing into them', () => {
    expect(page(2 ** 47)).toMatchObject({ fault: GENERAL_PROTECTION, code: 0 });
    expect(m.core.mmu.readSlow(0, 0x0001_0000, 4)).toBe(0);
    expect(m.core.getSigned32(S.FAULT_VECTOR)).toBe(GENERAL_PROTECTION);
  });

  it('crosses from the last page of the address space to the first', () => {
    m.write64(0x2000 + 8 * 511, BigInt(0x3000 | PRESENT | WRITE));
    m.write64(0x3000 + 8 * 511, BigInt(0x4000 | PRESENT | WRITE));
    m.write64(0x4000 + 8 * 511, BigInt(0x8000 | PRESENT | WRITE));
    m.write64(0x4000, BigInt(0x9000 | PRESENT | WRITE));
    m.core.mmu.store32(-2, 0x44332211);
    expect([m.read16(0x8ffe), m.read16(0x9000)]).toEqual([0x2211, 0x4433]);
  });

  it('with SMEP the supervisor fetches no user page; with SMAP it touches one only under AC', () => {
    expect(m.core.mmu.fetchSlow(0x3000, 0)).not.toBe(0);
    setPaging(CR4_PAE | CR4_SMEP | CR4_SMAP, EFER_LMA | EFER_NXE);
    m.core.mmu.setPrivilege();
    expect(m.core.mmu.fetchSlow(0x3000, 0)).toBe(0);
    expect(m.errorCode).toBe(PRESENT | 16);
    expect(page(0x3000)).toMatchObject({ fault: PAGE_FAULT, code: PRESENT });
    m.core.setFlags(0x4_0002);
    m.core.mmu.setPrivilege();
    expect(page(0x3000).fault).toBe(-1);
    // What the processor reads by itself is never permitted, whatever the TLB has learnt (SDM 3A §4.6.1).
    expect(m.attempt(() => m.core.mmu.loadSystem32(0x3000))).toBe(PAGE_FAULT);
    expect(page(0x3000).fault).toBe(-1);
    m.core.setFlags(2);
    m.core.mmu.setPrivilege();
    expect(page(0x3000).fault).toBe(PAGE_FAULT);
  });
});

describe('page-directory entries that are remembered', () => {
  const DIRECTORY = 0x3000;
  const entry = (low: number): bigint => BigInt(low | PRESENT | WRITE | USER);
  beforeEach(() => {
    m.enterLong();
    m.write64(0x1000, entry(0x2000));
    m.write64(0x2000, entry(DIRECTORY));
    m.write64(DIRECTORY, entry(0x4000));
    m.write64(DIRECTORY + 8, entry(0x20_0000 | LARGE));
    for (let i = 0; i < 16; i++) {
      m.write64(0x4000 + 8 * i, entry(0x1_0000 + 0x1000 * i));
      m.write64(0x5000 + 8 * i, entry(0x2_0000 + 0x1000 * i));
    }
    for (const physical of [0x1_1000, 0x1_2000, 0x2_1000, 0x2_2000]) m.write32(physical, physical);
    setPaging(CR4_PAE, EFER_LMA | EFER_NXE | 0x100);
  });

  it('are forgotten with the translations that came of them', () => {
    const ways = [() => m.core.mmu.invalidatePage(0x7000), () => m.core.mmu.flushLocal(), () => m.core.mmu.flush()];
    for (const forget of ways) {
      m.write64(DIRECTORY, entry(0x4000));
      m.core.mmu.flush();
      expect(m.core.mmu.load32(0x1000)).toBe(0x1_1000);
      m.write64(DIRECTORY, entry(0x5000));
      forget();
      expect(m.core.mmu.load32(0x2000)).toBe(0x2_2000);
    }
  });

  it('never refuse what the tables allow by now (SDM 3A §4.10.4.3)', () => {
    m.write64(DIRECTORY, BigInt(0x4000 | PRESENT));
    m.core.mmu.load8(0x1000);
    expect(m.attempt(() => m.core.mmu.store8(0x2000, 1))).toBe(PAGE_FAULT);
    m.write64(DIRECTORY, entry(0x4000));
    expect(m.attempt(() => m.core.mmu.store8(0x2000, 1))).toBe(-1);
    m.write64(0x4000 + 8 * 3, 0n);
    expect(page(0x3000)).toMatchObject({ fault: PAGE_FAULT, code: 0 });
    m.write64(0x4000 + 8 * 3, entry(0x1_1000));
    expect(m.core.mmu.load32(0x3000)).toBe(0x1_1000);
  });

  it('of large pages are marked dirty when such a page is stored to first', () => {
    m.core.mmu.load8(0x20_1000);
    expect(m.read32(DIRECTORY + 8) & (ACCESSED | DIRTY)).toBe(ACCESSED);
    m.core.mmu.store8(0x20_2000, 1);
    expect(m.read32(DIRECTORY + 8) & (ACCESSED | DIRTY)).toBe(ACCESSED | DIRTY);
    m.core.mmu.store8(0x20_3000, 1);
    expect(tlbLookup(S.TLB_WRITE, 0x20_3000)).toBe(m.memory.offsetOf(0x20_3000, 1));
  });

  it('mark the pages that are found by them', () => {
    m.core.mmu.load8(0x1000);
    m.core.mmu.load8(0x2000);
    m.core.mmu.store8(0x3000, 1);
    expect([1, 2, 3].map((i) => m.read32(0x4000 + 8 * i) & (ACCESSED | DIRTY))).toEqual([ACCESSED, ACCESSED, ACCESSED | DIRTY]);
  });
});

describe('alignment checks', () => {
  const fault = (action: () => void): number => m.attempt(action);
  const require = (cpl: number, am: boolean, ac: boolean): void => {
    m.enterProtected(cpl);
    m.core.set32(S.CR0, CR0_PE | (am ? CR0_AM : 0));
    m.core.setFlags(ac ? AC : 0);
    m.core.mmu.setPrivilege();
  };

  it('are for level 3 with CR0.AM and EFLAGS.AC', () => {
    for (const [cpl, am, ac, expected] of [[3, true, true, ALIGNMENT_CHECK], [3, false, true, -1], [3, true, false, -1], [0, true, true, -1]] as const) {
      require(cpl, am, ac);
      expect([cpl, am, ac, fault(() => m.core.mmu.load32(0x5002))]).toEqual([cpl, am, ac, expected]);
    }
  });

  it('hold for reads and writes of every size, and for pages that were accessed before', () => {
    require(3, true, false);
    m.core.mmu.store32(0x5000, 0);
    require(3, true, true);
    m.core.mmu.load32(0x5004);
    expect([
      fault(() => m.core.mmu.load16(0x5001)), fault(() => m.core.mmu.store32(0x5002, 1)), fault(() => m.core.mmu.load64(0x5004)),
      fault(() => m.core.mmu.load32(0x5ffe)), fault(() => m.core.mmu.load8(0x5001)),
    ]).toEqual([ALIGNMENT_CHECK, ALIGNMENT_CHECK, ALIGNMENT_CHECK, ALIGNMENT_CHECK, -1]);
    expect([fault(() => m.core.mmu.load16(0x5003)), m.errorCode]).toEqual([ALIGNMENT_CHECK, 0]);
  });

  it('do not hold for what the processor reads by itself', () => {
    require(3, true, true);
    expect(fault(() => m.core.mmu.loadSystem32(0x5001))).toBe(-1);
  });
});

describe('the TLB', () => {
  beforeEach(() => {
    m.write32(0x1000, 0x2000 | PRESENT | WRITE | USER);
    for (let i = 0; i < 16; i++) m.write32(0x2000 + i * 4, (0x10_000 + i * 0x1000) | PRESENT | WRITE | USER | (i === 8 ? GLOBAL : 0));
    setPaging(CR4_PSE | CR4_PGE, 0);
  });

  it('keeps a translation until it is told to forget it', () => {
    m.core.mmu.load8(0x5000);
    m.write32(0x2014, 0);
    expect(page(0x5000).fault).toBe(-1);
    m.core.mmu.invalidatePage(0x5123);
    expect(page(0x5000).fault).toBe(PAGE_FAULT);
  });

  it('keeps global pages when CR3 is loaded, and not when everything is flushed', () => {
    m.core.mmu.load8(0x5000);
    m.core.mmu.load8(0x8000);
    m.write32(0x2014, 0);
    m.write32(0x2020, 0);
    m.core.mmu.flushLocal();
    expect([page(0x5000).fault, page(0x8000).fault]).toEqual([PAGE_FAULT, -1]);
    m.core.mmu.flush();
    expect(page(0x8000).fault).toBe(PAGE_FAULT);
  });

  it('forgets everything after more fills than it keeps count of', () => {
    for (let round = 0; round < 400; round++) {
      for (let i = 0; i < 8; i++) m.core.mmu.load8(i * 0x1000);
      for (let i = 0; i < 8; i++) m.core.mmu.invalidatePage(i * 0x1000);
    }
    m.core.mmu.load8(0x5000);
    m.write32(0x2014, 0);
    m.core.mmu.flushLocal();
    expect(page(0x5000).fault).toBe(PAGE_FAULT);
  });

  it('invalidates all of a large page by any of its addresses', () => {
    m.write32(0x1004, 0 | PRESENT | WRITE | LARGE);
    m.core.mmu.load8(0x40_0000);
    m.core.mmu.load8(0x40_5000);
    m.write32(0x1004, 0);
    m.core.mmu.invalidatePage(0x7f_f000);
    expect([page(0x40_0000).fault, page(0x40_5000).fault]).toEqual([PAGE_FAULT, PAGE_FAULT]);
  });

  it('has tables of their own for user and supervisor', () => {
    m.core.mmu.load8(0x5000);
    expect(tlbLookup(S.TLB_READ, 0x5000)).toBe(m.memory.offsetOf(0x1_5000, 1));
    setCpl(3);
    expect(tlbLookup(S.TLB_READ, 0x5000)).toBeUndefined();
    m.core.mmu.load8(0x5000);
    expect(tlbLookup(S.TLB_READ, 0x5000)).toBe(m.memory.offsetOf(0x1_5000, 1));
  });

  it('finds every address by which such a page can be stored to', () => {
    const host = m.memory.offsetOf(0x1_5000, 1);
    m.write32(0x2000 + 4 * 0x1a, 0x1_5000 | PRESENT | WRITE | USER);
    m.core.mmu.store32(0x5000, 1);
    m.core.mmu.store32(0x1_a000, 2);
    expect([tlbLookup(S.TLB_WRITE, 0x5000), tlbLookup(S.TLB_WRITE, 0x1_a000)]).toEqual([host, host]);
    m.core.mmu.dropWritable(host >>> 12);
    expect([tlbLookup(S.TLB_WRITE, 0x5000), tlbLookup(S.TLB_WRITE, 0x1_a000)]).toEqual([undefined, undefined]);
    m.core.mmu.store32(0x1_a000, 3);
    expect(tlbLookup(S.TLB_WRITE, 0x1_a000)).toBe(host);
    m.core.mmu.dropWritable(host >>> 12);
    expect(tlbLookup(S.TLB_WRITE, 0x1_a000)).toBeUndefined();
  });

  it('has no page with decoded code for writing, and reports stores to it first', () => {
    const host = m.memory.offsetOf(0x1_5000, 1);
    m.core.mmu.store32(0x5000, 1);
    expect(tlbLookup(S.TLB_WRITE, 0x5000)).toBe(host);
    m.codePages.pages.add(host >>> 12);
    m.core.mmu.dropWritable(host >>> 12);
    expect(tlbLookup(S.TLB_WRITE, 0x5000)).toBeUndefined();
    m.core.mmu.store32(0x5008, 2);
    m.core.mmu.store32(0x5ffe, 3);
    expect(m.codePages.stores).toEqual([
      [host + 8, 4],
      [host + 0xffe, 2],
    ]);
    expect(tlbLookup(S.TLB_WRITE, 0x5000)).toBeUndefined();
    expect(m.read32(0x1_5008)).toBe(2);
  });
});

describe('devices and ROM', () => {
  const DEVICE = RAM_BYTES + 0x1000;
  it('reads a device once, in pieces of at most 4 bytes, low to high', () => {
    m.wiring.values.set(`mmio ${DEVICE.toString(16)}`, 0x11);
    m.wiring.values.set(`mmio ${(DEVICE + 4).toString(16)}`, 0x22);
    expect(m.core.mmu.load64(DEVICE)).toBe(0x22_0000_0011n);
    expect(m.wiring.accesses).toEqual([`mmio read ${DEVICE.toString(16)} 4`, `mmio read ${(DEVICE + 4).toString(16)} 4`]);
  });

  it('a store reads nothing; read-modify-write reads before and stores after', () => {
    m.core.mmu.store16(DEVICE, 0x1234);
    expect(m.wiring.accesses).toEqual([`mmio write ${DEVICE.toString(16)} 2 1234`]);
    m.wiring.values.set(`mmio ${DEVICE.toString(16)}`, 0x40);
    const host = m.core.mmu.writeSlow(DEVICE, 0, 4, 1);
    expect(m.core.view.getUint32(host, true)).toBe(0x40);
    m.core.view.setUint32(host, 0x41, true);
    m.core.mmu.commitStore();
    expect(m.wiring.accesses.slice(1)).toEqual([`mmio read ${DEVICE.toString(16)} 4`, `mmio write ${DEVICE.toString(16)} 4 41`]);
    expect(m.core.get32(S.PENDING_STORE_SIZE)).toBe(0);
  });

  it('splits an access between RAM and a device', () => {
    m.core.mmu.store32(RAM_BYTES - 2, 0x4433_2211);
    expect(m.read16(RAM_BYTES - 2)).toBe(0x2211);
    expect(m.wiring.accesses).toEqual([`mmio write ${RAM_BYTES.toString(16)} 2 4433`]);
  });

  it('does not execute from a device', () => {
    expect(m.core.mmu.fetchSlow(DEVICE, 0)).toBe(-1);
  });

  it('leaves ROM as it is and lets the bus see the write', () => {
    m = new TestMachine([
      { base: 0, size: 0x10_0000, access: 'rw' },
      { base: 0x10_0000, size: 0x1_0000, access: 'ro' },
    ]);
    m.write32(0x10_0010, 7);
    m.core.mmu.store32(0x10_0010, 8);
    expect(m.core.mmu.load32(0x10_0010)).toBe(7);
    expect(m.wiring.accesses).toEqual(['mmio write 100010 4 8']);
  });
});
