import { describe, expect, it } from 'vitest';
import { createSlotPort, SlotBack, SlotFront } from './port.ts';

function port(depth = 4) {
  const buffers = createSlotPort({ depth, dataBytes: 512 });
  let woken = 0;
  const front = new SlotFront(buffers, () => woken++);
  const back = new SlotBack(buffers);
  return { buffers, front, back, woken: () => woken };
}

/** The broker serves what waits, up to `limit`. */
function serve(back: SlotBack, limit = 100): number[] {
  const served: number[] = [];
  for (back.poll(); served.length < limit; ) {
    const slot = back.head();
    if (slot === undefined) break;
    back.take();
    served.push(back.words(slot)[0] as number);
    back.answer(slot);
  }
  return served;
}

function ask(front: SlotFront, what: number): boolean {
  const slot = front.acquire();
  if (slot === undefined) return false;
  front.words(slot)[0] = what;
  front.submit(slot);
  return true;
}

function answers(front: SlotFront): number[] {
  const heard: number[] = [];
  for (let slot = front.completed(); slot !== undefined; slot = front.completed()) {
    heard.push(front.words(slot)[0] as number);
    front.release(slot);
  }
  return heard;
}

describe('a port with slots', () => {
  it('has no slots before its broker has seen it', () => {
    const { front, back } = port();
    expect(front.acquire()).toBeUndefined();
    back.poll();
    expect(front.free).toBe(4);
  });

  it('carries requests there and answers back, in order, for as long as it likes', () => {
    const { front, back } = port();
    back.poll();
    for (let round = 1; round <= 1000; round++) {
      expect([ask(front, round), ask(front, -round)]).toEqual([true, true]);
      expect(serve(back)).toEqual([round, -round]);
      expect(answers(front)).toEqual([round, -round]);
    }
    expect(front.inFlight).toBe(0);
  });

  it('has as many slots as its depth, and neither side waits for the other when they are used up', () => {
    const { front, back } = port(2);
    back.poll();
    expect([1, 2, 3].map((what) => ask(front, what))).toEqual([true, true, false]);
    serve(back);
    expect(ask(front, 4)).toBe(false);
    expect(answers(front)).toEqual([1, 2]);
    expect(ask(front, 5)).toBe(true);
  });

  it('wakes its broker once for what was submitted together', () => {
    const { front, back, woken } = port();
    back.poll();
    const before = woken();
    ask(front, 1);
    ask(front, 2);
    front.wake();
    front.wake();
    expect(woken()).toBe(before + 1);
  });

  it('shows the data of a slot on both sides', () => {
    const { front, back } = port();
    back.poll();
    const slot = front.acquire() as number;
    front.data(slot).fill(7);
    front.submit(slot);
    back.poll();
    expect(back.data(back.head() as number)[511]).toBe(7);
  });
});

describe('a new generation', () => {
  it('has no slots while something of the one before is being carried out', () => {
    const { front, back } = port();
    back.poll();
    ask(front, 1);
    back.poll();
    const slot = back.head() as number;
    back.take();
    front.begin();
    back.poll();
    expect(front.acquire()).toBeUndefined();
    back.answer(slot);
    back.poll();
    expect(front.free).toBe(4);
  });

  it('never hears an answer of the one before', () => {
    const { front, back } = port();
    back.poll();
    ask(front, 1);
    ask(front, 2);
    expect(serve(back, 1)).toEqual([1]);
    front.begin();
    expect(answers(front)).toEqual([]);
    back.poll();
    ask(front, 3);
    expect(serve(back)).toEqual([3]);
    expect(answers(front)).toEqual([3]);
    // One had been answered, one had not been begun: only that one was dropped.
    expect(front.control.statistics.dropped).toBe(1);
  });

  it('begins in the middle of anything: a front that dies leaves nothing behind', () => {
    const { buffers, front, back } = port();
    back.poll();
    ask(front, 1);
    front.acquire(); // filled and never submitted
    serve(back);
    front.completed(); // taken and never released
    ask(front, 2);
    // The thread is gone; another one opens the same port.
    const heir = new SlotFront(buffers, () => undefined);
    expect(heir.acquire()).toBeUndefined();
    back.poll();
    expect(heir.free).toBe(4);
    expect(serve(back)).toEqual([]);
    ask(heir, 3);
    expect(serve(back)).toEqual([3]);
    expect(answers(heir)).toEqual([3]);
  });

  it('can be begun by whoever ended the partition, so that nothing of it is begun any more', () => {
    const { front, back } = port();
    back.poll();
    ask(front, 1);
    front.control.begin();
    expect(serve(back)).toEqual([]);
    expect(front.control.statistics.dropped).toBe(1);
  });

  it('may follow another before the broker has seen either', () => {
    const { front, back } = port();
    for (let count = 0; count < 5; count++) front.begin();
    back.poll();
    expect(front.free).toBe(4);
  });
});

describe('a port whose broker is gone', () => {
  it('is settled never again, and nobody waits for it', () => {
    const { front, back } = port();
    back.poll();
    front.control.close();
    expect(front.control.awaitSettled(60e9)).toBe(false);
    front.begin();
    expect(front.acquire()).toBeUndefined();
  });
});

it('believes no number that a stranger could have written', () => {
  const { buffers, front, back } = port();
  back.poll();
  ask(front, 1);
  new Int32Array(buffers.lanes['rings'] as SharedArrayBuffer).fill(0x7fff_ffff, 8);
  back.poll();
  const slot = back.head();
  expect(slot === undefined || (slot >= 0 && slot < 4)).toBe(true);
});
