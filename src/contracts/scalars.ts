/** The scalar types that cross rooms. */

/** Guest-physical address. A plain number: MAXPHYADDR is held to at most 48 bits, well inside 2^53. */
export type Gpa = number;
/** Nanoseconds on the partition's own clock (see {@link Clock}). Integers below 2^53: 104 days. */
export type Nanos = number;
/** Bytes. */
export type Bytes = number;
export type AccessSize = 1 | 2 | 4;
export type VcpuId = number;
export type PartitionName = string;
