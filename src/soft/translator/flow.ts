/**
 * The control flow of a region as WebAssembly needs it: reverse postorder, dominators, loop headers and the places where paths
 * meet. The method is that of N. Ramsey, "Beyond Relooper" (ICFP 2022): emit the dominator tree; a node where forward edges meet
 * becomes the end of a block, a loop header a loop, every other node stands where it is branched to.
 */

export interface Edge {
  readonly to: number;
  /** Reached only through a call that returns: what must hold is checked behind the call. */
  readonly isCall: boolean;
}

export interface Flow {
  /** Position of each node in reverse postorder; −1 when it cannot be reached. */
  readonly order: readonly number[];
  readonly isLoopHeader: readonly boolean[];
  /** Several forward edges lead here. */
  readonly isMerge: readonly boolean[];
  /** Children in the dominator tree that are merge nodes, last in reverse postorder first. */
  readonly merges: readonly (readonly number[])[];
  /** An edge that is no branch: it would enter a loop beside its header. */
  isForeign(from: number, to: number): boolean;
  isBack(from: number, to: number): boolean;
  /** What may run between the end of `node` and the start of a merge below it in the dominator tree. */
  between(node: number, merge: number): readonly number[];
  /** The loop of a header: it, and whatever leads back to it without leaving. */
  loopOf(header: number): readonly number[];
  /** Instructions on the longest way from the start of a node to the next back edge, call or end. */
  readonly longestPath: readonly number[];
}

/** `root` is where control comes in. `weights` are instruction counts. */
export function analyse(edges: readonly (readonly Edge[])[], weights: readonly number[], root = 0): Flow {
  const count = edges.length;
  const postorder: number[] = [];
  const state = new Uint8Array(count);
  const stack: { node: number; next: number }[] = [{ node: root, next: 0 }];
  state[root] = 1;
  while (stack.length > 0) {
    const top = stack[stack.length - 1] as { node: number; next: number };
    // Later edges first, so that the fall-through, which is last, follows directly in reverse postorder.
    const edge = (edges[top.node] as readonly Edge[])[top.next++];
    if (edge === undefined) {
      postorder.push(top.node);
      stack.pop();
    } else if (state[edge.to] === 0) {
      state[edge.to] = 1;
      stack.push({ node: edge.to, next: 0 });
    }
  }
  const sequence = postorder.reverse();
  const order = new Array<number>(count).fill(-1);
  for (const [place, node] of sequence.entries()) order[node] = place;

  const predecessors: number[][] = Array.from({ length: count }, () => []);
  for (const node of sequence) for (const { to } of edges[node] as readonly Edge[]) (predecessors[to] as number[]).push(node);
  const dominator = dominators(root, sequence, order, predecessors);
  const dominates = (a: number, b: number): boolean => {
    for (let node = b; ; node = dominator[node] as number) {
      if (node === a) return true;
      if (node === root) return false;
    }
  };
  // What cannot be reached has no place and no dominators.
  const retreats = (from: number, to: number): boolean => (order[from] as number) >= 0 && (order[to] as number) <= (order[from] as number);
  const isBack = (from: number, to: number): boolean => retreats(from, to) && dominates(to, from);
  const isForeign = (from: number, to: number): boolean => retreats(from, to) && !dominates(to, from);

  const isLoopHeader = new Array<boolean>(count).fill(false);
  const forward = new Array<number>(count).fill(0);
  for (const node of sequence) {
    for (const { to } of edges[node] as readonly Edge[]) {
      if (isBack(node, to)) isLoopHeader[to] = true;
      else if (!isForeign(node, to)) forward[to] = (forward[to] as number) + 1;
    }
  }
  const isMerge = forward.map((n) => n > 1);
  const merges: number[][] = Array.from({ length: count }, () => []);
  for (const node of [...sequence].reverse()) if (node !== root && isMerge[node]) (merges[dominator[node] as number] as number[]).push(node);

  const longestPath = new Array<number>(count).fill(0);
  for (const node of [...sequence].reverse()) {
    let behind = 0;
    for (const { to, isCall } of edges[node] as readonly Edge[]) {
      if (!isCall && !retreats(node, to)) behind = Math.max(behind, longestPath[to] as number);
    }
    longestPath[node] = (weights[node] as number) + behind;
  }
  const between = (node: number, merge: number): number[] =>
    sequence.filter((other) => other !== node && dominates(node, other) && !dominates(merge, other));
  const loopOf = (header: number): number[] => {
    const loop = new Set([header]);
    const queue = (predecessors[header] as number[]).filter((node) => isBack(node, header));
    for (const node of queue) {
      if (loop.has(node)) continue;
      loop.add(node);
      queue.push(...(predecessors[node] as number[]));
    }
    return [...loop];
  };
  return { between, loopOf, order, isLoopHeader, isMerge, merges, isForeign, isBack, longestPath };
}

/** Immediate dominators: K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm" (2001). */
function dominators(root: number, sequence: readonly number[], order: readonly number[], predecessors: readonly (readonly number[])[]): readonly number[] {
  const result = new Array<number>(order.length).fill(-1);
  result[root] = root;
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of sequence) {
      if (node === root) continue;
      let common = -1;
      for (const before of predecessors[node] as readonly number[]) {
        if (result[before] === -1) continue;
        common = common === -1 ? before : meet(common, before, result, order);
      }
      if (common !== result[node]) {
        result[node] = common;
        changed = true;
      }
    }
  }
  return result;
}

function meet(a: number, b: number, dominator: readonly number[], order: readonly number[]): number {
  let [x, y] = [a, b];
  while (x !== y) {
    while ((order[x] as number) > (order[y] as number)) x = dominator[x] as number;
    while ((order[y] as number) > (order[x] as number)) y = dominator[y] as number;
  }
  return x;
}
