import { describe, expect, it } from 'vitest';
import { BASE_RIP, DECODE_NEEDS_MORE, DECODE_TOO_LONG, DECODE_UNDEFINED, Decoder, NO_REGISTER } from './decoder.ts';
import { DS, FS, SS } from './state.ts';

const decoder = new Decoder();
const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.split(' ').map((byte) => Number.parseInt(byte, 16)));
const decode = (hex: string, bits: 16 | 32 | 64 = 64): number => {
  const code = bytes(hex);
  return decoder.decode(code, 0, code.length, bits, true);
};

describe('lengths', () => {
  it.each([
    ['90', 64, 1, 'nop'],
    ['48 b8 01 02 03 04 05 06 07 08', 64, 10, 'mov'],
    ['b8 01 02 03 04', 32, 5, 'mov'],
    ['b8 01 02', 16, 3, 'mov'],
    ['66 b8 01 02', 32, 4, 'mov'],
    ['a1 01 02 03 04 05 06 07 08', 64, 9, 'mov'],
    ['a1 01 02 03 04', 32, 5, 'mov'],
    ['f7 05 00 00 00 00 01 00 00 00', 64, 10, 'test'],
    ['8b 84 24 00 01 00 00', 64, 7, 'mov'],
    ['8b 47 10', 16, 3, 'mov'],
    ['66 e8 01 02 03 04', 64, 6, 'call_rel'],
    ['66 e8 01 02', 32, 4, 'call_rel'],
    ['c8 10 00 01', 64, 4, 'enter'],
    ['f3 48 ab', 64, 3, 'rep_stos'],
    ['0f 84 10 00 00 00', 32, 6, 'jcc'],
    ['ea 01 02 03 04 08 00', 32, 7, 'jmp_far_immediate'],
  ] as const)('%s in %i-bit code has %i bytes: %s', (hex, bits, length, mnemonic) => {
    expect(decode(hex, bits)).toBe(length);
    expect(decoder.out.row.mnemonic).toBe(mnemonic);
  });
});

describe('operands', () => {
  it('names registers 8 to 15 through REX', () => {
    decode('4d 8b 44 c8 10'); // mov r8, [r8+rcx*8+16]
    expect(decoder.out).toMatchObject({ reg: 8, base: 8, index: 1, scale: 3, displacement: 16, size: 3, isMemory: true });
  });

  it('makes mod 0, rm 5 relative to RIP in 64-bit code and absolute in 32-bit code', () => {
    decode('8b 05 10 00 00 00', 64);
    expect(decoder.out.base).toBe(BASE_RIP);
    decode('8b 05 10 00 00 00', 32);
    expect(decoder.out).toMatchObject({ base: NO_REGISTER, displacement: 16 });
  });

  it('takes SS as the segment of addresses through RSP and RBP, and DS otherwise', () => {
    decode('8b 45 00', 32);
    expect(decoder.out.segment).toBe(SS);
    decode('8b 04 24', 32);
    expect(decoder.out.segment).toBe(SS);
    decode('8b 00', 32);
    expect(decoder.out.segment).toBe(DS);
    decode('64 8b 45 00', 32);
    expect(decoder.out.segment).toBe(FS);
  });

  it('forms 16-bit addresses from the pairs of the 8086', () => {
    decode('8b 40 fe', 16); // mov ax, [bx+si-2]
    expect(decoder.out).toMatchObject({ base: 3, index: 6, displacement: -2, addressBits: 16 });
    decode('8b 06 34 12', 16); // mov ax, [0x1234]
    expect(decoder.out).toMatchObject({ base: NO_REGISTER, displacement: 0x1234 });
  });

  it('counts a REX prefix only directly before the opcode', () => {
    decode('48 66 89 c8'); // mov ax, cx
    expect(decoder.out.size).toBe(1);
  });

  it('leaves XCHG of RAX with itself a NOP, and of R8 an exchange', () => {
    decode('48 90');
    expect(decoder.out.row.mnemonic).toBe('nop');
    decode('49 90');
    expect(decoder.out).toMatchObject({ rm: 8, reg: 0, row: { mnemonic: 'xchg' } });
  });
});

describe('what is no instruction', () => {
  it.each([
    ['06', 64, 'PUSH ES in 64-bit code'],
    ['f0 89 c8', 64, 'LOCK on a register destination'],
    ['f0 8b 00', 64, 'LOCK on a load'],
    ['8d c0', 64, 'LEA of a register'],
    ['0f 05', 32, 'SYSCALL in 32-bit code (Intel)'],
    ['ff f8', 64, 'a hole in group 5'],
    ['0f 04', 64, 'a hole in the two-byte map'],
  ] as const)('%s is undefined: %s', (hex, bits, _why) => {
    expect(decode(`${hex} 00 00 00 00 00 00`, bits)).toBe(DECODE_UNDEFINED);
  });

  it('asks for more when the bytes end inside an instruction, at every place', () => {
    const whole = bytes('66 48 81 84 c8 00 01 00 00 44 33 22 11');
    for (let have = 0; have < whole.length; have++) expect(decoder.decode(whole, 0, have, 64, true)).toBe(DECODE_NEEDS_MORE);
    expect(decoder.decode(whole, 0, whole.length, 64, true)).toBe(whole.length);
  });

  it('refuses more than 15 bytes', () => {
    expect(decode(`${'66 '.repeat(15)}90`)).toBe(DECODE_TOO_LONG);
    expect(decode(`${'66 '.repeat(14)}90`)).toBe(15);
  });

  it('never throws and never reads beyond 15 bytes, whatever it is given', () => {
    let state = 1;
    const next = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 16;
    };
    for (let i = 0; i < 30_000; i++) {
      const code = Uint8Array.from({ length: 16 }, () => next() & 0xff);
      const bits = ([16, 32, 64] as const)[next() % 3] as 16 | 32 | 64;
      const length = decoder.decode(code, 0, 15, bits, (next() & 1) === 1);
      expect(length >= DECODE_TOO_LONG && length <= 15).toBe(true);
      // The same bytes followed by others decode to the same length.
      if (length > 0) {
        code.fill(0xcc, length);
        expect(decoder.decode(code, 0, 15, bits, true) === length || decoder.decode(code, 0, 15, bits, false) === length).toBe(true);
      }
    }
  });
});
