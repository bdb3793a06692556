/** Sets of the 256 interrupt vectors as eight 32-bit words, the way IRR, ISR and TMR hold them (SDM 3A §11.8.4). */

/** The highest vector in the set; -1 when it is empty. */
export function highest(words: readonly number[]): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[i] as number;
    if (word !== 0) return 32 * i + 31 - Math.clz32(word);
  }
  return -1;
}

export function testBit(words: readonly number[], bit: number): boolean {
  return ((words[bit >> 5] as number) & (1 << (bit & 31))) !== 0;
}

export function setBit(words: number[], bit: number): void {
  words[bit >> 5] = (words[bit >> 5] as number) | (1 << (bit & 31));
}

export function clearBit(words: number[], bit: number): void {
  words[bit >> 5] = (words[bit >> 5] as number) & ~(1 << (bit & 31));
}
