/** Port 0x80: the power-on self-test code display. Drivers also write it as a short delay. */
export class PostCode {
  /** What the two digits show. */
  code = 0;

  reset(): void {
    this.code = 0;
  }

  read(_offset: number): number {
    return this.code;
  }

  write(_offset: number, value: number): void {
    this.code = value;
  }
}
