/** What is on a screen: registers and memory of a display, and what they look like. */
export { drawPicture, type Picture } from './picture.ts';
export { type CellPlace, screenText, textCursor } from './text.ts';
