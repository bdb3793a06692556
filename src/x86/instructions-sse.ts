/**
 * MMX, SSE, SSE2 and SSE3 (SDM 2D tables and appendix A.4 groups 12–16), in opcode order; table.ts explains the notation.
 * The operand size tells MMX (`q`) from XMM (`x`) forms of the same mnemonic; scalar operations have names of their own.
 *
 * Attributes here: `mmx` and `sse` name the state an instruction needs (which faults it raises when that is switched off),
 * `aligned` a 16-byte memory operand that must be aligned (SDM 1 §10.4.1.1), `reversed` that the destination is listed second
 * because the other operand decides the size.
 */
import type { RowText } from './table.ts';

/** `0f XX` as an MMX instruction and, with 66, as its SSE2 widening. */
const integer = (byte: string, mnemonic: string): readonly RowText[] => [
  [`np 0f ${byte} /r`, mnemonic, 'Pq,Qq', 'mmx'],
  [`66 0f ${byte} /r`, mnemonic, 'Vx,Wx', 'sse aligned'],
];

/** Shifts by an immediate: groups 12–14. */
const shift = (byte: string, extension: number, mnemonic: string): readonly RowText[] => [
  [`np 0f ${byte} /${extension} reg`, mnemonic, 'Nq,Ib', 'mmx'],
  [`66 0f ${byte} /${extension} reg`, mnemonic, 'Ux,Ib', 'sse'],
];

/** The four forms of floating-point arithmetic: packed and scalar, single and double. */
const float = (byte: string, name: string): readonly RowText[] => [
  [`np 0f ${byte} /r`, `${name}ps`, 'Vx,Wx', 'sse aligned'],
  [`66 0f ${byte} /r`, `${name}pd`, 'Vx,Wx', 'sse aligned'],
  [`f3 0f ${byte} /r`, `${name}ss`, 'Vd,Wd', 'sse'],
  [`f2 0f ${byte} /r`, `${name}sd`, 'Vq,Wq', 'sse'],
];

/** Packed single and packed double. */
const packed = (byte: string, name: string, operands = 'Vx,Wx'): readonly RowText[] => [
  [`np 0f ${byte} /r`, `${name}ps`, operands, 'sse aligned'],
  [`66 0f ${byte} /r`, `${name}pd`, operands, 'sse aligned'],
];

const MOVES: readonly RowText[] = [
  ['np 0f 10 /r', 'movups', 'Vx,Wx', 'sse'],
  ['66 0f 10 /r', 'movupd', 'Vx,Wx', 'sse'],
  ['f3 0f 10 /r', 'movss', 'Vd,Wd', 'sse'],
  ['f2 0f 10 /r', 'movsd', 'Vq,Wq', 'sse'],
  ['np 0f 11 /r', 'movups', 'Wx,Vx', 'sse'],
  ['66 0f 11 /r', 'movupd', 'Wx,Vx', 'sse'],
  ['f3 0f 11 /r', 'movss', 'Wd,Vd', 'sse'],
  ['f2 0f 11 /r', 'movsd', 'Wq,Vq', 'sse'],
  ['np 0f 12 /r mem', 'movlps', 'Vq,Mq', 'sse'],
  ['np 0f 12 /r reg', 'movhlps', 'Vq,Uq', 'sse'],
  ['66 0f 12 /r mem', 'movlpd', 'Vq,Mq', 'sse'],
  ['f3 0f 12 /r', 'movsldup', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['f2 0f 12 /r', 'movddup', 'Vq,Wq', 'sse cpuid:sse3'],
  ['np 0f 13 /r mem', 'movlps', 'Mq,Vq', 'sse'],
  ['66 0f 13 /r mem', 'movlpd', 'Mq,Vq', 'sse'],
  ['np 0f 16 /r mem', 'movhps', 'Vq,Mq', 'sse'],
  ['np 0f 16 /r reg', 'movlhps', 'Vq,Uq', 'sse'],
  ['66 0f 16 /r mem', 'movhpd', 'Vq,Mq', 'sse'],
  ['f3 0f 16 /r', 'movshdup', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['np 0f 17 /r mem', 'movhps', 'Mq,Vq', 'sse'],
  ['66 0f 17 /r mem', 'movhpd', 'Mq,Vq', 'sse'],
  ...packed('28', 'mova'),
  ...packed('29', 'mova', 'Wx,Vx'),
  ['np 0f 2b /r mem', 'movntps', 'Mx,Vx', 'sse aligned'],
  ['66 0f 2b /r mem', 'movntpd', 'Mx,Vx', 'sse aligned'],
  ['np 0f 50 /r reg', 'movmskps', 'Gd,Ux', 'sse'],
  ['66 0f 50 /r reg', 'movmskpd', 'Gd,Ux', 'sse'],
  ['np 0f 6e /r', 'movd_to_mmx', 'Py,Ey', 'mmx'],
  ['66 0f 6e /r', 'movd_to_xmm', 'Vy,Ey', 'sse'],
  ['np 0f 6f /r', 'movq_mmx', 'Pq,Qq', 'mmx'],
  ['66 0f 6f /r', 'movdqa', 'Vx,Wx', 'sse aligned'],
  ['f3 0f 6f /r', 'movdqu', 'Vx,Wx', 'sse'],
  ['np 0f 7e /r', 'movd_from_mmx', 'Ey,Py', 'mmx'],
  ['66 0f 7e /r', 'movd_from_xmm', 'Ey,Vy', 'sse'],
  ['f3 0f 7e /r', 'movq', 'Vq,Wq', 'sse'],
  ['np 0f 7f /r', 'movq_mmx', 'Qq,Pq', 'mmx'],
  ['66 0f 7f /r', 'movdqa', 'Wx,Vx', 'sse aligned'],
  ['f3 0f 7f /r', 'movdqu', 'Wx,Vx', 'sse'],
  ['np 0f c4 /r', 'pinsrw', 'Pq,Ew,Ib', 'mmx'],
  ['66 0f c4 /r', 'pinsrw', 'Vx,Ew,Ib', 'sse'],
  ['np 0f c5 /r reg', 'pextrw_mmx', 'Gd,Nq,Ib', 'mmx'],
  ['66 0f c5 /r reg', 'pextrw', 'Gd,Ux,Ib', 'sse'],
  ['66 0f d6 /r', 'movq', 'Wq,Vq', 'sse'],
  ['f3 0f d6 /r reg', 'movq2dq', 'Vq,Nq', 'mmx sse'],
  ['f2 0f d6 /r reg', 'movdq2q', 'Pq,Uq', 'mmx sse'],
  ['np 0f d7 /r reg', 'pmovmskb_mmx', 'Gd,Nq', 'mmx'],
  ['66 0f d7 /r reg', 'pmovmskb', 'Gd,Ux', 'sse'],
  ['np 0f e7 /r mem', 'movntq', 'Mq,Pq', 'mmx'],
  ['66 0f e7 /r mem', 'movntdq', 'Mx,Vx', 'sse aligned'],
  ['f2 0f f0 /r mem', 'lddqu', 'Vx,Mx', 'sse cpuid:sse3'],
  ['np 0f f7 /r reg', 'maskmovq', 'Pq,Nq', 'mmx'],
  ['66 0f f7 /r reg', 'maskmovdqu', 'Vx,Ux', 'sse'],
];

const FLOATING_POINT: readonly RowText[] = [
  ...packed('14', 'unpckl'),
  ...packed('15', 'unpckh'),
  ['np 0f 2a /r', 'cvtpi2ps', 'Vq,Qq', 'mmx sse'],
  ['66 0f 2a /r', 'cvtpi2pd', 'Vx,Qq', 'mmx sse'],
  ['f3 0f 2a /r', 'cvtsi2ss', 'Ey,Vy', 'sse reversed'],
  ['f2 0f 2a /r', 'cvtsi2sd', 'Ey,Vy', 'sse reversed'],
  ['np 0f 2c /r', 'cvttps2pi', 'Pq,Wq', 'mmx sse'],
  ['66 0f 2c /r', 'cvttpd2pi', 'Pq,Wx', 'mmx sse aligned'],
  ['f3 0f 2c /r', 'cvttss2si', 'Gy,Wd', 'sse'],
  ['f2 0f 2c /r', 'cvttsd2si', 'Gy,Wq', 'sse'],
  ['np 0f 2d /r', 'cvtps2pi', 'Pq,Wq', 'mmx sse'],
  ['66 0f 2d /r', 'cvtpd2pi', 'Pq,Wx', 'mmx sse aligned'],
  ['f3 0f 2d /r', 'cvtss2si', 'Gy,Wd', 'sse'],
  ['f2 0f 2d /r', 'cvtsd2si', 'Gy,Wq', 'sse'],
  ['np 0f 2e /r', 'ucomiss', 'Vd,Wd', 'sse'],
  ['66 0f 2e /r', 'ucomisd', 'Vq,Wq', 'sse'],
  ['np 0f 2f /r', 'comiss', 'Vd,Wd', 'sse'],
  ['66 0f 2f /r', 'comisd', 'Vq,Wq', 'sse'],
  ...float('51', 'sqrt'),
  ['np 0f 52 /r', 'rsqrtps', 'Vx,Wx', 'sse aligned'],
  ['f3 0f 52 /r', 'rsqrtss', 'Vd,Wd', 'sse'],
  ['np 0f 53 /r', 'rcpps', 'Vx,Wx', 'sse aligned'],
  ['f3 0f 53 /r', 'rcpss', 'Vd,Wd', 'sse'],
  ...packed('54', 'and'),
  ...packed('55', 'andn'),
  ...packed('56', 'or'),
  ...packed('57', 'xor'),
  ...float('58', 'add'),
  ...float('59', 'mul'),
  ['np 0f 5a /r', 'cvtps2pd', 'Vx,Wq', 'sse'],
  ['66 0f 5a /r', 'cvtpd2ps', 'Vx,Wx', 'sse aligned'],
  ['f3 0f 5a /r', 'cvtss2sd', 'Vd,Wd', 'sse'],
  ['f2 0f 5a /r', 'cvtsd2ss', 'Vq,Wq', 'sse'],
  ['np 0f 5b /r', 'cvtdq2ps', 'Vx,Wx', 'sse aligned'],
  ['66 0f 5b /r', 'cvtps2dq', 'Vx,Wx', 'sse aligned'],
  ['f3 0f 5b /r', 'cvttps2dq', 'Vx,Wx', 'sse aligned'],
  ...float('5c', 'sub'),
  ...float('5d', 'min'),
  ...float('5e', 'div'),
  ...float('5f', 'max'),
  ['66 0f 7c /r', 'haddpd', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['f2 0f 7c /r', 'haddps', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['66 0f 7d /r', 'hsubpd', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['f2 0f 7d /r', 'hsubps', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['np 0f c2 /r', 'cmpps', 'Vx,Wx,Ib', 'sse aligned'],
  ['66 0f c2 /r', 'cmppd', 'Vx,Wx,Ib', 'sse aligned'],
  ['f3 0f c2 /r', 'cmpss', 'Vd,Wd,Ib', 'sse'],
  ['f2 0f c2 /r', 'cmpsd', 'Vq,Wq,Ib', 'sse'],
  ['np 0f c6 /r', 'shufps', 'Vx,Wx,Ib', 'sse aligned'],
  ['66 0f c6 /r', 'shufpd', 'Vx,Wx,Ib', 'sse aligned'],
  ['66 0f d0 /r', 'addsubpd', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['f2 0f d0 /r', 'addsubps', 'Vx,Wx', 'sse aligned cpuid:sse3'],
  ['66 0f e6 /r', 'cvttpd2dq', 'Vx,Wx', 'sse aligned'],
  ['f3 0f e6 /r', 'cvtdq2pd', 'Vx,Wq', 'sse'],
  ['f2 0f e6 /r', 'cvtpd2dq', 'Vx,Wx', 'sse aligned'],
];

const INTEGER: readonly RowText[] = [
  // the low unpacking MMX forms read only 32 bits of memory
  ['np 0f 60 /r', 'punpcklbw', 'Pq,Qd', 'mmx'], ['66 0f 60 /r', 'punpcklbw', 'Vx,Wx', 'sse aligned'],
  ['np 0f 61 /r', 'punpcklwd', 'Pq,Qd', 'mmx'], ['66 0f 61 /r', 'punpcklwd', 'Vx,Wx', 'sse aligned'],
  ['np 0f 62 /r', 'punpckldq', 'Pq,Qd', 'mmx'], ['66 0f 62 /r', 'punpckldq', 'Vx,Wx', 'sse aligned'],
  ...integer('63', 'packsswb'), ...integer('67', 'packuswb'),
  ...integer('64', 'pcmpgtb'), ...integer('65', 'pcmpgtw'), ...integer('66', 'pcmpgtd'),
  ...integer('68', 'punpckhbw'), ...integer('69', 'punpckhwd'), ...integer('6a', 'punpckhdq'), ...integer('6b', 'packssdw'),
  ['66 0f 6c /r', 'punpcklqdq', 'Vx,Wx', 'sse aligned'],
  ['66 0f 6d /r', 'punpckhqdq', 'Vx,Wx', 'sse aligned'],
  ['np 0f 70 /r', 'pshufw', 'Pq,Qq,Ib', 'mmx'],
  ['66 0f 70 /r', 'pshufd', 'Vx,Wx,Ib', 'sse aligned'],
  ['f3 0f 70 /r', 'pshufhw', 'Vx,Wx,Ib', 'sse aligned'],
  ['f2 0f 70 /r', 'pshuflw', 'Vx,Wx,Ib', 'sse aligned'],
  ...shift('71', 2, 'psrlw'), ...shift('71', 4, 'psraw'), ...shift('71', 6, 'psllw'),
  ...shift('72', 2, 'psrld'), ...shift('72', 4, 'psrad'), ...shift('72', 6, 'pslld'),
  ...shift('73', 2, 'psrlq'), ...shift('73', 6, 'psllq'),
  ['66 0f 73 /3 reg', 'psrldq', 'Ux,Ib', 'sse'],
  ['66 0f 73 /7 reg', 'pslldq', 'Ux,Ib', 'sse'],
  ...integer('74', 'pcmpeqb'), ...integer('75', 'pcmpeqw'), ...integer('76', 'pcmpeqd'),
  ['np 0f 77', 'emms', '', 'mmx'],
  ...integer('d1', 'psrlw'), ...integer('d2', 'psrld'), ...integer('d3', 'psrlq'), ...integer('d4', 'paddq'), ...integer('d5', 'pmullw'),
  ...integer('d8', 'psubusb'), ...integer('d9', 'psubusw'), ...integer('da', 'pminub'), ...integer('db', 'pand'),
  ...integer('dc', 'paddusb'), ...integer('dd', 'paddusw'), ...integer('de', 'pmaxub'), ...integer('df', 'pandn'),
  ...integer('e0', 'pavgb'), ...integer('e1', 'psraw'), ...integer('e2', 'psrad'), ...integer('e3', 'pavgw'),
  ...integer('e4', 'pmulhuw'), ...integer('e5', 'pmulhw'),
  ...integer('e8', 'psubsb'), ...integer('e9', 'psubsw'), ...integer('ea', 'pminsw'), ...integer('eb', 'por'),
  ...integer('ec', 'paddsb'), ...integer('ed', 'paddsw'), ...integer('ee', 'pmaxsw'), ...integer('ef', 'pxor'),
  ...integer('f1', 'psllw'), ...integer('f2', 'pslld'), ...integer('f3', 'psllq'),
  ...integer('f4', 'pmuludq'), ...integer('f5', 'pmaddwd'), ...integer('f6', 'psadbw'),
  ...integer('f8', 'psubb'), ...integer('f9', 'psubw'), ...integer('fa', 'psubd'), ...integer('fb', 'psubq'),
  ...integer('fc', 'paddb'), ...integer('fd', 'paddw'), ...integer('fe', 'paddd'),
];

export const INSTRUCTIONS_SSE: readonly RowText[] = [...MOVES, ...FLOATING_POINT, ...INTEGER];
