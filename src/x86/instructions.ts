/**
 * The instruction table: general-purpose and system instructions. One row per encoding, in opcode order (SDM 2D tables A-2 to
 * A-6); table.ts explains the notation. Decoder, interpreter, disassembler, tests and docs are derived from it.
 */
import { INSTRUCTIONS_SSE } from './instructions-sse.ts';
import { INSTRUCTIONS_SSE4 } from './instructions-sse4.ts';
import { INSTRUCTIONS_X87 } from './instructions-x87.ts';
import { type InstructionRow, parseRow, type RowText } from './table.ts';

/** The eight arithmetic instructions share six encodings each, and the immediate groups 80–83. */
const ARITHMETIC: readonly RowText[] = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].flatMap((name, n): RowText[] => {
  const at = (low: number): string => (n * 8 + low).toString(16).padStart(2, '0');
  const lock = name === 'cmp' ? '' : 'lock';
  return [
    [`${at(0)} /r`, name, 'Eb,Gb', lock],
    [`${at(1)} /r`, name, 'Ev,Gv', lock],
    [`${at(2)} /r`, name, 'Gb,Eb'],
    [`${at(3)} /r`, name, 'Gv,Ev'],
    [`${at(4)}`, name, 'Ab,Ib'],
    [`${at(5)}`, name, 'Av,Iz'],
    [`80 /${n}`, name, 'Eb,Ib', lock],
    [`81 /${n}`, name, 'Ev,Iz', lock],
    [`82 /${n}`, name, 'Eb,Ib', `${lock} no64`],
    [`83 /${n}`, name, 'Ev,Is', lock],
  ];
});

const SHIFTS: readonly RowText[] = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar'].flatMap((name, n): RowText[] => [
  [`c0 /${n}`, name, 'Eb,Ib'],
  [`c1 /${n}`, name, 'Ev,Ib'],
  [`d0 /${n}`, name, 'Eb,1'],
  [`d1 /${n}`, name, 'Ev,1'],
  [`d2 /${n}`, name, 'Eb,CL'],
  [`d3 /${n}`, name, 'Ev,CL'],
]);

/** F3 and F2 repeat; the comparing ones differ in what ends them. */
const STRINGS: readonly RowText[] = ([
  ['a4', 'movs', 'Yb,Xb'], ['a5', 'movs', 'Yv,Xv'], ['a6', 'cmps', 'Yb,Xb'], ['a7', 'cmps', 'Yv,Xv'],
  ['aa', 'stos', 'Yb'], ['ab', 'stos', 'Yv'], ['ac', 'lods', 'Xb'], ['ad', 'lods', 'Xv'], ['ae', 'scas', 'Yb'], ['af', 'scas', 'Yv'],
] as const).flatMap(([opcode, name, operands]): RowText[] => {
  const compares = name === 'cmps' || name === 'scas';
  return [
    [opcode, name, operands, 'string'],
    [`f3 ${opcode}`, compares ? `repe_${name}` : `rep_${name}`, operands, 'string'],
    [`f2 ${opcode}`, compares ? `repne_${name}` : `rep_${name}`, operands, 'string'],
  ];
});

const ONE_BYTE: readonly RowText[] = [
  ['06', 'push_sreg', 'Sv', 'no64 stack:1'], ['0e', 'push_sreg', 'Sv', 'no64 stack:1'],
  ['16', 'push_sreg', 'Sv', 'no64 stack:1'], ['1e', 'push_sreg', 'Sv', 'no64 stack:1'],
  ['07', 'pop_sreg', 'Sv', 'no64 stack:-1 end'], ['17', 'pop_sreg', 'Sv', 'no64 stack:-1 end'], ['1f', 'pop_sreg', 'Sv', 'no64 stack:-1 end'],
  ['27', 'daa', '', 'no64'], ['2f', 'das', '', 'no64'], ['37', 'aaa', '', 'no64'], ['3f', 'aas', '', 'no64'],
  ['40+r', 'inc', 'Zz', 'no64'],
  ['48+r', 'dec', 'Zz', 'no64'],
  ['50+r', 'push', 'Zv', 'default64 stack:1'],
  ['58+r', 'pop', 'Zv', 'default64 stack:-1'],
  ['60', 'pusha', '', 'no64 stack:8'], ['61', 'popa', '', 'no64 stack:-8'],
  ['62 /r mem', 'bound', 'Gz,Mz', 'no64'],
  ['63 /r', 'arpl', 'Ew,Gw', 'no64 protected'],
  ['63 /r', 'movsxd', 'Gv,Ed', 'only64'],
  ['68', 'push_imm', 'Iz', 'default64 stack:1'],
  ['69 /r', 'imul3', 'Gv,Ev,Iz'],
  ['6a', 'push_imm', 'Is', 'default64 stack:1'],
  ['6b /r', 'imul3', 'Gv,Ev,Is'],
  ['6c', 'ins', 'Yb,DX', 'io'], ['6d', 'ins', 'Yz,DX', 'io'], ['6e', 'outs', 'Xb,DX', 'io'], ['6f', 'outs', 'Xz,DX', 'io'],
  ['70+c', 'jcc', 'Jb', 'force64 end'],
  ['84 /r', 'test', 'Eb,Gb'], ['85 /r', 'test', 'Ev,Gv'],
  ['86 /r', 'xchg', 'Eb,Gb', 'lock'], ['87 /r', 'xchg', 'Ev,Gv', 'lock'],
  ['88 /r', 'mov', 'Eb,Gb'], ['89 /r', 'mov', 'Ev,Gv'], ['8a /r', 'mov', 'Gb,Eb'], ['8b /r', 'mov', 'Gv,Ev'],
  ['8c /r', 'mov_from_sreg', 'Ev,Sw'],
  ['8d /r mem', 'lea', 'Gv,M'],
  ['8e /r', 'mov_to_sreg', 'Ew,Sw', 'end'],
  ['8f /0', 'pop', 'Ev', 'default64 stack:-1'],
  ['90', 'nop', '', 'noRexB'], ['90+r', 'xchg', 'Zv,Gv'],
  ['f3 90', 'pause', '', 'end noRexB'],
  ['98', 'cbw', 'Av'], ['99', 'cwd', 'Av'],
  ['9a', 'call_far_immediate', 'Fz', 'no64 end stack:2'],
  ['9b', 'fwait', '', 'x87'],
  ['9c', 'pushf', 'Av', 'default64 stack:1'], ['9d', 'popf', 'Av', 'default64 stack:-1 end'],
  ['9e', 'sahf', '', 'no64'], ['9f', 'lahf', '', 'no64'], ['9e', 'sahf', '', 'only64 cpuid:lahf_lm'], ['9f', 'lahf', '', 'only64 cpuid:lahf_lm'],
  ['a0', 'mov', 'Gb,Ob'], ['a1', 'mov', 'Gv,Ov'], ['a2', 'mov', 'Ob,Gb'], ['a3', 'mov', 'Ov,Gv'],
  ['a8', 'test', 'Ab,Ib'], ['a9', 'test', 'Av,Iz'],
  ['b0+r', 'mov', 'Zb,Ib'], ['b8+r', 'mov', 'Zv,Iv'],
  ['c2', 'ret_imm', 'Iw', 'force64 end stack:-1'], ['c3', 'ret', '', 'force64 end stack:-1'],
  ['c4 /r mem', 'les_lds_lss_lfs_lgs', 'Gz,M', 'no64 end'], ['c5 /r mem', 'les_lds_lss_lfs_lgs', 'Gz,M', 'no64 end'],
  ['c6 /0', 'mov', 'Eb,Ib'], ['c7 /0', 'mov', 'Ev,Iz'],
  ['c8', 'enter', 'Iw,Ib', 'default64 end'], ['c9', 'leave', '', 'default64'],
  ['ca', 'ret_far', 'Iw', 'end'], ['cb', 'ret_far', '', 'end'],
  ['cc', 'int3', '', 'end'], ['cd', 'int', 'Ib', 'end'], ['ce', 'into', '', 'no64 end'], ['cf', 'iret', '', 'end'],
  ['d4', 'aam', 'Ib', 'no64'], ['d5', 'aad', 'Ib', 'no64'], ['d6', 'salc', '', 'no64'], ['d7', 'xlat'],
  ['e0', 'loopne', 'Jb', 'force64 end'], ['e1', 'loope', 'Jb', 'force64 end'], ['e2', 'loop', 'Jb', 'force64 end'], ['e3', 'jcxz', 'Jb', 'force64 end'],
  ['e4', 'in_immediate', 'Ab,Ib'], ['e5', 'in_immediate', 'Az,Ib'], ['e6', 'out_immediate', 'Ab,Ib'], ['e7', 'out_immediate', 'Az,Ib'],
  ['e8', 'call_rel', 'Jz', 'force64 end stack:1'], ['e9', 'jmp_rel', 'Jz', 'force64 end'],
  ['ea', 'jmp_far_immediate', 'Fz', 'no64 end'], ['eb', 'jmp_rel', 'Jb', 'force64 end'],
  ['ec', 'in_dx', 'Ab,DX'], ['ed', 'in_dx', 'Az,DX'], ['ee', 'out_dx', 'Ab,DX'], ['ef', 'out_dx', 'Az,DX'],
  ['f1', 'int1', '', 'end'],
  ['f4', 'hlt', '', 'end'], ['f5', 'cmc'],
  ['f6 /0', 'test', 'Eb,Ib'], ['f7 /0', 'test', 'Ev,Iz'], ['f6 /1', 'test', 'Eb,Ib'], ['f7 /1', 'test', 'Ev,Iz'],
  ['f6 /2', 'not', 'Eb', 'lock'], ['f7 /2', 'not', 'Ev', 'lock'], ['f6 /3', 'neg', 'Eb', 'lock'], ['f7 /3', 'neg', 'Ev', 'lock'],
  ['f6 /4', 'mul', 'Eb'], ['f7 /4', 'mul', 'Ev'], ['f6 /5', 'imul', 'Eb'], ['f7 /5', 'imul', 'Ev'],
  ['f6 /6', 'div', 'Eb'], ['f7 /6', 'div', 'Ev'], ['f6 /7', 'idiv', 'Eb'], ['f7 /7', 'idiv', 'Ev'],
  ['f8', 'clc'], ['f9', 'stc'], ['fa', 'cli'], ['fb', 'sti'], ['fc', 'cld'], ['fd', 'std'],
  ['fe /0', 'inc', 'Eb', 'lock'], ['fe /1', 'dec', 'Eb', 'lock'], ['ff /0', 'inc', 'Ev', 'lock'], ['ff /1', 'dec', 'Ev', 'lock'],
  ['ff /2', 'call', 'Ev', 'force64 end stack:1'], ['ff /3 mem', 'call_far_memory', 'Mv', 'end stack:2'],
  ['ff /4', 'jmp', 'Ev', 'force64 end'], ['ff /5 mem', 'jmp_far_memory', 'Mv', 'end'],
  ['ff /6', 'push', 'Ev', 'default64 stack:1'],
];

const TWO_BYTE: readonly RowText[] = [
  ['0f 00 /0', 'sldt', 'Ev', 'protected'], ['0f 00 /1', 'str', 'Ev', 'protected'], ['0f 00 /2', 'lldt', 'Ew', 'protected'],
  ['0f 00 /3', 'ltr', 'Ew', 'protected'], ['0f 00 /4', 'verr', 'Ew', 'protected'], ['0f 00 /5', 'verw', 'Ew', 'protected'],
  ['0f 01 /0 mem', 'sgdt', 'M'], ['0f 01 /1 mem', 'sidt', 'M'], ['0f 01 /2 mem', 'lgdt', 'M'], ['0f 01 /3 mem', 'lidt', 'M'],
  ['0f 01 /4', 'smsw', 'Ev'], ['0f 01 /6', 'lmsw', 'Ew', 'end'], ['0f 01 /7 mem', 'invlpg', 'M', 'end'],
  ['0f 01 /xc8', 'monitor', '', 'cpuid:monitor'], ['0f 01 /xc9', 'mwait', '', 'end cpuid:monitor'], ['0f 01 /xca', 'clac', '', 'cpuid:smap'], ['0f 01 /xcb', 'stac', '', 'cpuid:smap'],
  ['np 0f 01 /xd0', 'xgetbv', '', 'cpuid:xsave'], ['np 0f 01 /xd1', 'xsetbv', '', 'end cpuid:xsave'],
  ['0f 01 /xf8', 'swapgs', '', 'only64'], ['0f 01 /xf9', 'rdtscp', '', 'cpuid:rdtscp'],
  ['0f 02 /r', 'lar', 'Gv,Ew', 'protected'], ['0f 03 /r', 'lsl', 'Gv,Ew', 'protected'],
  ['0f 05', 'syscall', '', 'only64 end'], ['0f 06', 'clts', '', 'end'], ['0f 07', 'sysret', 'Av', 'only64 end'],
  ['0f 08', 'invd', '', 'end'], ['0f 09', 'wbinvd', '', 'end'], ['0f 0b', 'ud', '', 'end'],
  ['0f 0d /r mem', 'nop', 'M'],
  ['0f 18 /r', 'nop', 'Ev'], ['0f 19 /r', 'nop', 'Ev'], ['0f 1a /r', 'nop', 'Ev'], ['0f 1b /r', 'nop', 'Ev'],
  ['0f 1c /r', 'nop', 'Ev'], ['0f 1d /r', 'nop', 'Ev'], ['0f 1e /r', 'nop', 'Ev'], ['0f 1f /r', 'nop', 'Ev'],
  ['0f 20 /r', 'mov_from_cr', 'Ry,Cy', 'registers'], ['0f 21 /r', 'mov_from_dr', 'Ry,Dy', 'registers'],
  ['0f 22 /r', 'mov_to_cr', 'Ry,Cy', 'registers end'], ['0f 23 /r', 'mov_to_dr', 'Ry,Dy', 'registers end'],
  ['0f 30', 'wrmsr', '', 'end'], ['0f 31', 'rdtsc'], ['0f 32', 'rdmsr'], ['0f 33', 'rdpmc'],
  ['0f 34', 'sysenter', '', 'end'], ['0f 35', 'sysexit', 'Av', 'end'],
  ['0f 40+c /r', 'cmov', 'Gv,Ev'],
  ['0f 80+c', 'jcc', 'Jz', 'force64 end'],
  ['0f 90+c /r', 'setcc', 'Eb'],
  ['0f a0', 'push_sreg', 'Sv', 'default64 stack:1'], ['0f a1', 'pop_sreg', 'Sv', 'default64 stack:-1 end'],
  ['0f a8', 'push_sreg', 'Sv', 'default64 stack:1'], ['0f a9', 'pop_sreg', 'Sv', 'default64 stack:-1 end'],
  ['0f a2', 'cpuid'],
  ['0f a3 /r', 'bt', 'Ev,Gv'], ['0f ab /r', 'bts', 'Ev,Gv', 'lock'], ['0f b3 /r', 'btr', 'Ev,Gv', 'lock'], ['0f bb /r', 'btc', 'Ev,Gv', 'lock'],
  ['0f ba /4', 'bt', 'Ev,Ib'], ['0f ba /5', 'bts', 'Ev,Ib', 'lock'], ['0f ba /6', 'btr', 'Ev,Ib', 'lock'], ['0f ba /7', 'btc', 'Ev,Ib', 'lock'],
  ['0f a4 /r', 'shld', 'Ev,Gv,Ib'], ['0f a5 /r', 'shld_cl', 'Ev,Gv'], ['0f ac /r', 'shrd', 'Ev,Gv,Ib'], ['0f ad /r', 'shrd_cl', 'Ev,Gv'],
  ['np 0f ae /0 mem', 'fxsave', 'M', 'nosize'], ['np 0f ae /1 mem', 'fxrstor', 'M', 'nosize'],
  ['np 0f ae /2 mem', 'ldmxcsr', 'Md', 'sse'], ['np 0f ae /3 mem', 'stmxcsr', 'Md', 'sse'],
  ['np 0f ae /5 reg', 'nop', 'Ed'], ['np 0f ae /6 reg', 'nop', 'Ed'], ['np 0f ae /7 reg', 'nop', 'Ed'], ['np 0f ae /7 mem', 'clflush', 'Mb'],
  ['np 0f ae /4 mem', 'xsave', 'M', 'nosize cpuid:xsave'], ['np 0f ae /5 mem', 'xrstor', 'M', 'nosize cpuid:xsave'],
  ['np 0f ae /6 mem', 'xsaveopt', 'M', 'nosize cpuid:xsaveopt'], ['np 0f c7 /4 mem', 'xsavec', 'M', 'nosize cpuid:xsavec'],
  ['f3 0f ae /0 reg', 'rdfsbase', 'Ey', 'only64 cpuid:fsgsbase'], ['f3 0f ae /1 reg', 'rdgsbase', 'Ey', 'only64 cpuid:fsgsbase'],
  ['f3 0f ae /2 reg', 'wrfsbase', 'Ey', 'only64 cpuid:fsgsbase'], ['f3 0f ae /3 reg', 'wrgsbase', 'Ey', 'only64 cpuid:fsgsbase'],
  ['0f af /r', 'imul2', 'Gv,Ev'],
  ['0f b0 /r', 'cmpxchg', 'Eb,Gb', 'lock'], ['0f b1 /r', 'cmpxchg', 'Ev,Gv', 'lock'],
  ['0f b2 /r mem', 'les_lds_lss_lfs_lgs', 'Gv,M', 'end'], ['0f b4 /r mem', 'les_lds_lss_lfs_lgs', 'Gv,M', 'end'], ['0f b5 /r mem', 'les_lds_lss_lfs_lgs', 'Gv,M', 'end'],
  ['0f b6 /r', 'movzx_b', 'Gv,Eb'], ['0f b7 /r', 'movzx_w', 'Gv,Ew'], ['0f be /r', 'movsx_b', 'Gv,Eb'], ['0f bf /r', 'movsx_w', 'Gv,Ew'],
  ['f3 0f b8 /r', 'popcnt', 'Gv,Ev', 'cpuid:popcnt'],
  ['0f 38 f0 /r mem', 'movbe', 'Gv,Mv', 'cpuid:movbe'], ['0f 38 f1 /r mem', 'movbe', 'Mv,Gv', 'cpuid:movbe'],
  ['f3 0f 38 f0 /r mem', 'ud', 'Gv,Mv', 'end'], ['f3 0f 38 f1 /r mem', 'ud', 'Mv,Gv', 'end'],
  ['66 0f 38 82 /r mem', 'invpcid', 'Gy,M', 'end force64 cpuid:invpcid'],
  ['0f b9 /r', 'ud', 'Gv,Ev', 'end'], ['0f ff /r', 'ud', 'Gv,Ev', 'end'],
  ['0f bc /r', 'bsf', 'Gv,Ev'], ['0f bd /r', 'bsr', 'Gv,Ev'],
  ['0f c0 /r', 'xadd', 'Eb,Gb', 'lock'], ['0f c1 /r', 'xadd', 'Ev,Gv', 'lock'],
  ['np 0f c3 /r mem', 'mov', 'My,Gy'],
  ['0f c7 /1 mem', 'cmpxchg8b', 'M', 'lock'],
  ['0f c8+r', 'bswap', 'Zv'],
];

export const INSTRUCTIONS: readonly InstructionRow[] = [...ARITHMETIC, ...SHIFTS, ...STRINGS, ...ONE_BYTE, ...TWO_BYTE, ...INSTRUCTIONS_X87, ...INSTRUCTIONS_SSE, ...INSTRUCTIONS_SSE4].flatMap(parseRow);
