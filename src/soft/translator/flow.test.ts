import { describe, expect, it } from 'vitest';
import { analyse, type Edge } from './flow.ts';

/** `[[1, 2], [3], [3], []]`: where each node goes. */
const graph = (next: readonly (readonly number[])[]): Edge[][] => next.map((list) => list.map((to) => ({ to, isCall: false })));
const flowOf = (next: readonly (readonly number[])[], weights = next.map(() => 1)) => analyse(graph(next), weights);

describe('control flow of a region', () => {
  it('finds where two ways meet, under the node that both come from', () => {
    const flow = flowOf([[1, 2], [3], [3], []]);
    expect(flow.isMerge).toEqual([false, false, false, true]);
    expect(flow.merges[0]).toEqual([3]);
    expect(flow.isLoopHeader).toEqual([false, false, false, false]);
  });

  it('finds the header of a loop, and of a loop in a loop', () => {
    const flow = flowOf([[1], [2, 4], [2, 3], [1], []]);
    expect(flow.isLoopHeader).toEqual([false, true, true, false, false]);
    expect(flow.isBack(3, 1)).toBe(true);
    expect(flow.isBack(2, 2)).toBe(true);
    expect(flow.isBack(1, 2)).toBe(false);
  });

  it('calls an edge into a loop beside its header foreign', () => {
    // 0 enters the cycle 1 ⇄ 2 at both of its nodes.
    const flow = flowOf([[1, 2], [2], [1]]);
    const retreating = [[1, 2], [2, 1]].filter(([from, to]) => flow.isForeign(from as number, to as number));
    expect(retreating).toHaveLength(1);
    expect(flow.isLoopHeader).toEqual([false, false, false]);
  });

  it('puts merges of one node in the order in which their blocks must close: the last first', () => {
    const flow = flowOf([[1, 2, 3], [4], [4], [5], [5], []]);
    expect(flow.merges[0]).toEqual([...(flow.merges[0] as number[])].sort((a, b) => (flow.order[b] as number) - (flow.order[a] as number)));
    expect(new Set(flow.merges[0])).toEqual(new Set([4, 5]));
  });

  it('leaves out what cannot be reached, however that is connected', () => {
    const flow = flowOf([[3], [2], [1, 2], []]);
    expect(flow.order.map((place) => place >= 0)).toEqual([true, false, false, true]);
    for (const [from, to] of [[1, 2], [2, 1], [2, 2]] as const) expect([flow.isBack(from, to), flow.isForeign(from, to)]).toEqual([false, false]);
  });

  it('counts the longest way to the next back edge', () => {
    expect(flowOf([[1, 2], [3], [3], [0, 4], []], [10, 1, 5, 2, 7]).longestPath).toEqual([24, 10, 14, 9, 7]);
  });

  it('ends the longest way at a call: what remains is checked when it comes back', () => {
    const edges: Edge[][] = [[{ to: 1, isCall: true }], []];
    expect(analyse(edges, [3, 50]).longestPath).toEqual([3, 50]);
  });

  it('leaves out what cannot be reached', () => {
    const flow = flowOf([[2], [2], []]);
    expect(flow.order[1]).toBe(-1);
    expect(flow.isMerge[2]).toBe(false);
  });

  it('begins at any node, and finds no loop where two ways come in', () => {
    // 2 ⇄ 3 is a loop for who comes by 1; from 4 both are entered.
    const next = [[1], [2], [3], [2], [0, 3]];
    expect(flowOf(next).isLoopHeader[2]).toBe(true);
    const flow = analyse(graph(next), next.map(() => 1), 4);
    expect(flow.order[4]).toBe(0);
    expect(flow.isLoopHeader).not.toContain(true);
    expect(flow.isForeign(3, 2) || flow.isForeign(2, 3)).toBe(true);
  });
});
