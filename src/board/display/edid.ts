/**
 * What the monitor says about itself: an EDID block with one preferred mode.
 * Spec: VESA E-EDID 1.4 §3; timing of the preferred mode by VESA CVT 1.2 with reduced blanking.
 */

const EDID_BYTES = 128;
const REFRESH = 60;
/** CVT reduced blanking: clocks per line, µs per frame, pulses. */
const H_BLANK = 160;
const H_FRONT = 48;
const H_SYNC = 32;
const V_BLANK_MICROSECONDS = 460;
const V_FRONT = 3;
const V_SYNC = 5;
const CLOCK_STEP = 250_000;
const DOTS_PER_MILLIMETRE = 3.78; // 96 per inch

/** Three letters as EDID packs a manufacturer: 5 bits each. */
const MANUFACTURER = packLetters('BHD');
const PRODUCT = 0x0001;
const MODEL_YEAR = 2026;
const MONITOR_NAME = 'Bulkhead';

/** A block that prefers `width`×`height` at 60 Hz and knows the usual smaller ones. */
export function edidOf(width: number, height: number): Uint8Array {
  const edid = new Uint8Array(EDID_BYTES);
  edid.set([0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]);
  edid.set([MANUFACTURER >> 8, MANUFACTURER & 0xff, PRODUCT & 0xff, PRODUCT >> 8], 8);
  edid.set([0xff, MODEL_YEAR - 1990], 16); // §3.4: a model year
  edid.set([1, 4], 18);
  edid[20] = 0xa0; // §3.6.1: digital, 8 bits per colour
  edid[21] = Math.min(255, Math.round(width / DOTS_PER_MILLIMETRE / 10));
  edid[22] = Math.min(255, Math.round(height / DOTS_PER_MILLIMETRE / 10));
  edid[23] = 120; // gamma 2.2
  edid[24] = 0x06; // §3.6.4: sRGB, the first timing is the preferred one
  edid.set([0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54], 25); // chromaticity of sRGB
  edid.set([0x21, 0x08, 0x00], 35); // §3.8: 640×480, 800×600 and 1024×768 at 60 Hz
  edid.set([...standard(1920, '16:9'), ...standard(1280, '16:9'), ...standard(1280, '5:4')], 38);
  edid.fill(0x01, 44, 54); // §3.9: unused
  edid.set(detailedTiming(width, height), 54);
  edid.set([0, 0, 0, 0xfd, 0, 50, 75, 30, 160, 30, 0x01, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20], 72); // §3.10.3.3 range limits
  edid.set([0, 0, 0, 0xfc, 0, ...text(MONITOR_NAME)], 90); // §3.10.3.4 product name
  edid.set([0, 0, 0, 0x10], 108); // §3.10.3.11 dummy
  edid[127] = -edid.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return edid;
}

/** §3.9: width and aspect at 60 Hz. */
function standard(width: number, aspect: '5:4' | '16:9'): number[] {
  return [width / 8 - 31, ((aspect === '16:9' ? 3 : 2) << 6) | (REFRESH - 60)];
}

/** §3.10.2, 18 bytes. */
function detailedTiming(width: number, height: number): number[] {
  const linePeriod = (1e6 / REFRESH - V_BLANK_MICROSECONDS) / height;
  const vBlank = Math.max(Math.floor(V_BLANK_MICROSECONDS / linePeriod) + 1, V_FRONT + V_SYNC + 6);
  const clock = Math.floor((REFRESH * (height + vBlank) * (width + H_BLANK)) / CLOCK_STEP) * (CLOCK_STEP / 10_000);
  const millimetres = { x: Math.round(width / DOTS_PER_MILLIMETRE), y: Math.round(height / DOTS_PER_MILLIMETRE) };
  return [
    clock & 0xff,
    clock >> 8,
    width & 0xff,
    H_BLANK & 0xff,
    ((width >> 8) << 4) | (H_BLANK >> 8),
    height & 0xff,
    vBlank & 0xff,
    ((height >> 8) << 4) | (vBlank >> 8),
    H_FRONT,
    H_SYNC,
    (V_FRONT << 4) | V_SYNC,
    0,
    millimetres.x & 0xff,
    millimetres.y & 0xff,
    ((millimetres.x >> 8) << 4) | (millimetres.y >> 8),
    0,
    0,
    0x1a, // digital separate sync, positive horizontal
  ];
}

/** 13 characters, ended by a line feed, padded with blanks. */
function text(name: string): number[] {
  return Array.from({ length: 13 }, (_, i) => (i < name.length ? name.charCodeAt(i) : i === name.length ? 0x0a : 0x20));
}

function packLetters(letters: string): number {
  return [...letters].reduce((word, letter) => (word << 5) | (letter.charCodeAt(0) - 64), 0);
}
