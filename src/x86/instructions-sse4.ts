/**
 * SSSE3, SSE4.1 and SSE4.2 (SDM 2D tables; SDM 1 §12.6 to §12.12), in opcode order; table.ts explains the
 * notation, instructions-sse.ts the attributes. POPCNT and CRC32 work on general registers; CRC32 came with SSE4.2 and is here.
 */
import type { RowText } from './table.ts';

/** SSSE3 integer instructions exist for MMX and XMM registers. */
const both = (opcode: string, mnemonic: string): readonly RowText[] => [
  [`np ${opcode} /r`, mnemonic, 'Pq,Qq', 'mmx cpuid:ssse3'],
  [`66 ${opcode} /r`, mnemonic, 'Vx,Wx', 'sse aligned cpuid:ssse3'],
];

const sse41 = (opcode: string, mnemonic: string, operands = 'Vx,Wx', attributes = 'aligned'): RowText => [
  `66 ${opcode}`, mnemonic, operands, `sse ${attributes} cpuid:sse4_1`,
];

const SSSE3: readonly RowText[] = [
  ...both('0f 38 00', 'pshufb'), ...both('0f 38 01', 'phaddw'), ...both('0f 38 02', 'phaddd'), ...both('0f 38 03', 'phaddsw'),
  ...both('0f 38 04', 'pmaddubsw'), ...both('0f 38 05', 'phsubw'), ...both('0f 38 06', 'phsubd'), ...both('0f 38 07', 'phsubsw'),
  ...both('0f 38 08', 'psignb'), ...both('0f 38 09', 'psignw'), ...both('0f 38 0a', 'psignd'), ...both('0f 38 0b', 'pmulhrsw'),
  ...both('0f 38 1c', 'pabsb'), ...both('0f 38 1d', 'pabsw'), ...both('0f 38 1e', 'pabsd'),
  ['np 0f 3a 0f /r', 'palignr', 'Pq,Qq,Ib', 'mmx cpuid:ssse3'],
  ['66 0f 3a 0f /r', 'palignr', 'Vx,Wx,Ib', 'sse aligned cpuid:ssse3'],
];

const SSE41: readonly RowText[] = [
  sse41('0f 38 10 /r', 'pblendvb'),
  sse41('0f 38 14 /r', 'blendvps'),
  sse41('0f 38 15 /r', 'blendvpd'),
  sse41('0f 38 17 /r', 'ptest'),
  // extensions read only what they extend, and need no alignment
  sse41('0f 38 20 /r', 'pmovsxbw', 'Vx,Wq', ''), sse41('0f 38 21 /r', 'pmovsxbd', 'Vx,Wd', ''), sse41('0f 38 22 /r', 'pmovsxbq', 'Vx,Ww', ''),
  sse41('0f 38 23 /r', 'pmovsxwd', 'Vx,Wq', ''), sse41('0f 38 24 /r', 'pmovsxwq', 'Vx,Wd', ''), sse41('0f 38 25 /r', 'pmovsxdq', 'Vx,Wq', ''),
  sse41('0f 38 28 /r', 'pmuldq'),
  sse41('0f 38 29 /r', 'pcmpeqq'),
  sse41('0f 38 2a /r mem', 'movntdqa', 'Vx,Mx'),
  sse41('0f 38 2b /r', 'packusdw'),
  sse41('0f 38 30 /r', 'pmovzxbw', 'Vx,Wq', ''), sse41('0f 38 31 /r', 'pmovzxbd', 'Vx,Wd', ''), sse41('0f 38 32 /r', 'pmovzxbq', 'Vx,Ww', ''),
  sse41('0f 38 33 /r', 'pmovzxwd', 'Vx,Wq', ''), sse41('0f 38 34 /r', 'pmovzxwq', 'Vx,Wd', ''), sse41('0f 38 35 /r', 'pmovzxdq', 'Vx,Wq', ''),
  sse41('0f 38 38 /r', 'pminsb'), sse41('0f 38 39 /r', 'pminsd'), sse41('0f 38 3a /r', 'pminuw'), sse41('0f 38 3b /r', 'pminud'),
  sse41('0f 38 3c /r', 'pmaxsb'), sse41('0f 38 3d /r', 'pmaxsd'), sse41('0f 38 3e /r', 'pmaxuw'), sse41('0f 38 3f /r', 'pmaxud'),
  sse41('0f 38 40 /r', 'pmulld'),
  sse41('0f 38 41 /r', 'phminposuw'),
  sse41('0f 3a 08 /r', 'roundps', 'Vx,Wx,Ib'),
  sse41('0f 3a 09 /r', 'roundpd', 'Vx,Wx,Ib'),
  sse41('0f 3a 0a /r', 'roundss', 'Vd,Wd,Ib', ''),
  sse41('0f 3a 0b /r', 'roundsd', 'Vq,Wq,Ib', ''),
  sse41('0f 3a 0c /r', 'blendps', 'Vx,Wx,Ib'),
  sse41('0f 3a 0d /r', 'blendpd', 'Vx,Wx,Ib'),
  sse41('0f 3a 0e /r', 'pblendw', 'Vx,Wx,Ib'),
  // to and from general registers: the whole register, or a byte or word of memory
  sse41('0f 3a 14 /r reg', 'pextrb', 'Rd,Vx,Ib', ''), sse41('0f 3a 14 /r mem', 'pextrb', 'Mb,Vx,Ib', ''),
  sse41('0f 3a 15 /r reg', 'pextrw_to_rm', 'Rd,Vx,Ib', ''), sse41('0f 3a 15 /r mem', 'pextrw_to_rm', 'Mw,Vx,Ib', ''),
  sse41('0f 3a 16 /r', 'pextrd', 'Ey,Vx,Ib', ''),
  sse41('0f 3a 17 /r', 'extractps', 'Ed,Vx,Ib', ''),
  sse41('0f 3a 20 /r reg', 'pinsrb', 'Vx,Rd,Ib', ''), sse41('0f 3a 20 /r mem', 'pinsrb', 'Vx,Mb,Ib', ''),
  sse41('0f 3a 21 /r reg', 'insertps', 'Vx,Ux,Ib', ''), sse41('0f 3a 21 /r mem', 'insertps', 'Vx,Md,Ib', ''),
  sse41('0f 3a 22 /r', 'pinsrd', 'Ey,Vx,Ib', 'reversed'),
  sse41('0f 3a 40 /r', 'dpps', 'Vx,Wx,Ib'),
  sse41('0f 3a 41 /r', 'dppd', 'Vx,Wx,Ib'),
  sse41('0f 3a 42 /r', 'mpsadbw', 'Vx,Wx,Ib'),
];

const SSE42: readonly RowText[] = [
  ['66 0f 38 37 /r', 'pcmpgtq', 'Vx,Wx', 'sse aligned cpuid:sse4_2'],
  // string comparisons need no alignment (SDM 1 §12.10.1)
  ['66 0f 3a 60 /r', 'pcmpestrm', 'Ly,Vx,Wx,Ib', 'sse cpuid:sse4_2'],
  ['66 0f 3a 61 /r', 'pcmpestri', 'Ly,Vx,Wx,Ib', 'sse cpuid:sse4_2'],
  ['66 0f 3a 62 /r', 'pcmpistrm', 'Vx,Wx,Ib', 'sse cpuid:sse4_2'],
  ['66 0f 3a 63 /r', 'pcmpistri', 'Vx,Wx,Ib', 'sse cpuid:sse4_2'],
  ['f2 0f 38 f0 /r', 'crc32_b', 'Gy,Eb', 'cpuid:sse4_2'],
  ['f2 0f 38 f1 /r', 'crc32', 'Ev,Gy', 'cpuid:sse4_2 reversed'],
];

export const INSTRUCTIONS_SSE4: readonly RowText[] = [...SSSE3, ...SSE41, ...SSE42];
