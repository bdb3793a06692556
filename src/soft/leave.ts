/** How generated code ends: the interpreter's main loop, system operations within it, and translated regions. */

/** Why generated code came back. */
export const Leave = {
  /** The budget is used up; RIP is the next instruction. */
  Budget: 0,
  /** Of a system operation, and never the last word: continue at RIP, for which there may be a block. */
  Jump: 1,
  /** Continue at RIP, for which no block is known (or something changed that must be looked at first). */
  Lookup: 2,
  /** An exception is recorded in FAULT_VECTOR; RIP is the faulting instruction. */
  Fault: 3,
  /** The block at RIP is hot: worth translating. */
  Hot: 4,
} as const;

/** Status of the interpreter's second function beyond those of a system operation. */
export const NEXT = 0;
export const REPEAT = 5;
export const JUMP = 6;

/**
 * A region returns RSP and a number that is not negative, to go on at RIP: what is left of the budget. The state block knows neither then.
 * Or it knows everything, and the number is one of these. Interpret what is at RIP: it is not translated, or the budget is short;
 */
export const REGION_INTERPRET = -1;
/** or, behind a system operation, what that said (Leave): this, less what it is beyond Leave.Jump. Whoever called the region returns, too. */
export const REGION_UNWIND = -2;
