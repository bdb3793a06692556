/** F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS as instructions: stack and status word around transcendental.ts. */
import { INFINITE, INDEFINITE, type FloatValue, finite, ZERO } from '../float/value.ts';
import type { Core } from '../core.ts';
import type { FloatEnvironment } from '../float/environment.ts';
import * as T from './transcendental.ts';
import * as U from './unit.ts';

type Operation = (core: Core, record: number) => void;
const ONE = finite(false, 0, 1n);

function begin(core: Core, record: number): FloatEnvironment {
  U.enter(core);
  U.remember(core, record);
  return U.prepare(core);
}

const unary =
  (compute: (environment: FloatEnvironment, x: FloatValue) => FloatValue): Operation =>
  (core, record) => {
    const environment = begin(core, record);
    let result = INDEFINITE;
    if (U.isEmpty(core, 0)) U.stackFault(false);
    else result = compute(environment, U.readStack(core, 0));
    if (!environment.stopped) U.writeStack(core, 0, result);
    U.settle(core);
  };

/** ST(1) ← f(ST(0), ST(1)), then pop. */
const binary =
  (compute: (environment: FloatEnvironment, x: FloatValue, y: FloatValue) => FloatValue): Operation =>
  (core, record) => {
    const environment = begin(core, record);
    let result = INDEFINITE;
    if (U.isEmpty(core, 0) || U.isEmpty(core, 1)) U.stackFault(false);
    else result = compute(environment, U.readStack(core, 0), U.readStack(core, 1));
    const done = !environment.stopped;
    if (done) U.writeStack(core, 1, result);
    U.settle(core);
    if (done) U.pop(core);
  };

/** FSIN, FCOS: an argument that cannot be reduced stays, and C2 says so. */
const trigonometric =
  (compute: (environment: FloatEnvironment, x: FloatValue) => FloatValue): Operation =>
  (core, record) => {
    const environment = begin(core, record);
    let result = INDEFINITE;
    if (U.isEmpty(core, 0)) U.stackFault(false);
    else {
      const x = U.readStack(core, 0);
      if (T.isBeyondReduction(x)) {
        U.settle(core, U.C1 | U.C2, U.C2);
        return;
      }
      result = compute(environment, x);
    }
    if (!environment.stopped) U.writeStack(core, 0, result);
    U.settle(core, U.C1 | U.C2);
  };

/** FSINCOS, FPTAN: a second result is pushed. A NaN result is pushed twice. */
const pair =
  (compute: (environment: FloatEnvironment, x: FloatValue) => readonly [FloatValue, FloatValue]): Operation =>
  (core, record) => {
    const environment = begin(core, record);
    let results: readonly [FloatValue, FloatValue] = [INDEFINITE, INDEFINITE];
    if (U.isEmpty(core, 0)) U.stackFault(false);
    else if (!U.isEmpty(core, 7)) U.stackFault(true);
    else {
      const x = U.readStack(core, 0);
      if (T.isBeyondReduction(x)) {
        U.settle(core, U.C1 | U.C2, U.C2);
        return;
      }
      results = compute(environment, x);
    }
    if (!environment.stopped) {
      U.writeStack(core, 0, results[0]);
      U.push(core, results[1]);
    }
    U.settle(core, U.C1 | U.C2);
  };

const isNumber = (x: FloatValue): boolean => !x.isNaN && x.kind !== INFINITE;

export const TRANSCENDENTAL_OPERATIONS: Readonly<Record<string, Operation>> = {
  f2xm1: unary(T.powerOfTwoMinusOne),
  fyl2x: binary(T.timesLogarithm),
  fyl2xp1: binary(T.timesLogarithmOfSuccessor),
  fpatan: binary(T.angle),
  fsin: trigonometric(T.sine),
  fcos: trigonometric(T.cosine),
  fsincos: pair((environment, x) => [T.sine(environment, x), T.cosine(environment, x)]),
  fptan: pair((environment, x) => {
    const result = T.tangent(environment, x);
    return [result, isNumber(result) || x.kind === ZERO ? ONE : result];
  }),
};
