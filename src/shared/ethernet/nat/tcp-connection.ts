/**
 * One TCP connection, ended on the host: towards the guest it is the peer, with sequence numbers, windows and retransmission of its own;
 * towards the host it is a stream.
 *
 * A connection that a guest opens is answered once the host's stands, so that "refused" stays "refused". What the host does not take
 * closes the guest's window, what the guest does not take pauses the host's stream: nothing is kept beyond one buffer for each way.
 *
 * Spec: RFC 9293 (TCP), RFC 5681 (congestion control), RFC 6298 (retransmission timer), RFC 7323 §2 (window scaling), RFC 5961 §3, §4
 * (resets and SYNs out of the blue), RFC 6528 (initial sequence numbers: they are the caller's).
 * Not modelled: segments out of order are not kept (the sender sends them again), delayed acknowledgements, timestamps, selective
 * acknowledgement, keep-alive.
 */
import { KiB, s } from '../../../base/index.ts';
import type { HostStream, Nanos } from '../../../contracts/index.ts';
import { MOST_SEGMENTS } from '../offload.ts';
import { SendBuffer } from './send-buffer.ts';
import { ACK, FIN, PSH, RST, SYN, type TcpSegment } from './tcp-segment.ts';
import { ahead, CongestionWindow, RetransmissionTimer } from './tcp-timing.ts';

/** What a connection sends with. */
export interface TcpWire {
  /**
   * A segment to the guest; `count` bytes of `buffer` from `offset` on are its data. It may be longer than `mss`, and is to be cut there.
   * `window` as it is written.
   */
  send(flags: number, sequence: number, acknowledgement: number, window: number, mss: number, buffer: SendBuffer, offset: number, count: number): void;
  /** A SYN, with our options; `scaled`: that of RFC 7323 among them. */
  sendSyn(flags: number, sequence: number, acknowledgement: number, window: number, scaled: boolean): void;
  /** It is over; nothing is sent any more. */
  closed(): void;
}

export interface TcpLimits {
  /** What our side of the link takes: data bytes of a segment. */
  readonly mss: number;
  /** First sequence number. */
  readonly sequence: number;
}

/** The window we offer is counted in units of 2^this (RFC 7323 §2.2). */
export const WINDOW_SCALE = 3;
const WINDOW_BYTES = 256 * KiB;
/** A guest's offload takes at most so much at once. */
const LARGEST_SEND = 60 * KiB;

/** RFC 9293 §3.8.3: R2. At the longest time-outs these are more than 100 seconds. */
const MOST_TIMEOUTS = 10;
const MOST_SYNS = 5;
/** RFC 5382 REQ-5: not less than 2 hours 4 minutes. */
const IDLE: Nanos = 7440 * s;
/** Both sides are done, or one of them is and the other says nothing. */
const HALF_CLOSED_IDLE: Nanos = 240 * s;
/** TIME-WAIT: long enough to acknowledge a FIN again; no segment of ours wanders about for minutes. */
const TIME_WAIT: Nanos = 5 * s;
const NEVER = Number.POSITIVE_INFINITY;

type State =
  /** The guest asked; the host's connection does not stand yet. */
  | 'connecting'
  /** Ours is the first SYN (a forwarded port). */
  | 'syn-sent'
  | 'syn-received'
  | 'open'
  | 'time-wait'
  | 'closed';

export class TcpConnection {
  readonly #wire: TcpWire;
  readonly #buffer = new SendBuffer();
  #stream: HostStream | undefined;
  #state: State;
  #mss: number;
  // RFC 9293 §3.3.1: send and receive sequence variables.
  #sendUnacknowledged: number;
  #sendNext: number;
  /** The furthest ever sent: what may be acknowledged after going back. */
  #sendFurthest: number;
  #sendWindow = 0;
  #sendScale = 0;
  #scaled = false;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  #receiveNext = 0;
  /** Right edge of the window as last told. */
  #promised = 0;
  /** The host sends nothing more: a FIN follows the data. */
  #finWanted = false;
  #finSent = false;
  #finAcknowledged = false;
  #finReceived = false;
  /** The stream is gone, all of it. */
  #streamClosed = false;
  #paused = false;
  #congestion: CongestionWindow;
  readonly #timer = new RetransmissionTimer();
  #timeouts = 0;
  #retransmitAt: Nanos = NEVER;
  #idleAt: Nanos;
  #lingerUntil: Nanos = 0;

  private constructor(state: State, wire: TcpWire, { mss, sequence }: TcpLimits, now: Nanos) {
    this.#state = state;
    this.#wire = wire;
    this.#mss = mss;
    this.#congestion = new CongestionWindow(mss);
    this.#sendUnacknowledged = sequence >>> 0;
    this.#sendNext = sequence >>> 0;
    this.#sendFurthest = sequence >>> 0;
    this.#idleAt = now + HALF_CLOSED_IDLE;
  }

  /** A guest's SYN. The host's stream is on its way; {@link opened} or {@link streamClosed} follows. */
  static accept(wire: TcpWire, limits: TcpLimits, syn: TcpSegment, now: Nanos): TcpConnection {
    const connection = new TcpConnection('connecting', wire, limits, now);
    connection.#take(syn);
    return connection;
  }

  /** Opens one to a guest, for a stream that stands. */
  static open(wire: TcpWire, limits: TcpLimits, stream: HostStream, now: Nanos): TcpConnection {
    const connection = new TcpConnection('syn-sent', wire, limits, now);
    connection.#stream = stream;
    stream.pause();
    connection.#paused = true;
    connection.#sendSyn(now);
    return connection;
  }

  /** Set before {@link opened}. */
  set stream(stream: HostStream) {
    this.#stream = stream;
  }

  /** When {@link tick} wants to be called; Infinity: not at all. */
  get deadline(): Nanos {
    return this.#state === 'closed' ? NEVER : Math.min(this.#retransmitAt, this.#idleAt);
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  // ── the host's side ──

  opened(now: Nanos): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'syn-received';
    this.#sendSyn(now);
  }

  data(bytes: Uint8Array, now: Nanos): void {
    if (this.#finWanted || this.#state === 'closed' || this.#state === 'time-wait') return;
    this.#buffer.push(bytes);
    if (this.#buffer.isFull) this.#pause();
    this.#output(now);
  }

  /** The host's stream took something: there may be room to tell of. */
  drained(): void {
    if (this.#state !== 'open' || this.#finReceived) return;
    const grown = ahead(this.#windowEdge(), this.#promised);
    // RFC 9293 §3.8.6.2.2: no silly windows.
    if (grown >= Math.min(2 * this.#mss, WINDOW_BYTES / 2)) this.#acknowledge();
  }

  ended(now: Nanos): void {
    this.#finWanted = true;
    this.#output(now);
  }

  streamClosed(how: 'done' | 'refused' | 'reset' | 'failed', now: Nanos): void {
    this.#streamClosed = true;
    if (this.#state === 'closed' || this.#state === 'time-wait') return;
    if (how !== 'done' || this.#state === 'connecting') {
      this.#sendReset();
      this.#end();
      return;
    }
    this.#finWanted = true;
    this.#output(now);
  }

  /** Nobody is there any more: no segment, and the host's stream is given up. */
  abandon(): void {
    if (this.#state === 'closed') return;
    this.#end();
  }

  // ── time ──

  tick(now: Nanos): void {
    if (this.#state === 'closed') return;
    if (now >= this.#idleAt) {
      // What was acknowledged to the guest is still to reach the other side.
      if (this.#state === 'time-wait' && !this.#streamClosed && now < this.#lingerUntil) {
        this.#idleAt = now + TIME_WAIT;
        return;
      }
      if (this.#state !== 'time-wait') this.#sendReset();
      this.#end();
    } else if (now >= this.#retransmitAt) this.#retransmitted(now);
  }

  // ── the guest's side ──

  /** A segment for this connection (RFC 9293 §3.10.7). */
  receive(segment: TcpSegment, now: Nanos): void {
    switch (this.#state) {
      case 'closed':
        return;
      case 'connecting':
        if (segment.flags & RST && segment.sequence === this.#receiveNext) this.#end();
        return;
      case 'syn-sent':
        this.#receiveInSynSent(segment, now);
        return;
      default:
        this.#receiveSynchronised(segment, now);
    }
  }

  /** §3.10.7.3. */
  #receiveInSynSent(segment: TcpSegment, now: Nanos): void {
    const { flags, acknowledgement } = segment;
    const isAnswer = (flags & ACK) !== 0 && acknowledgement === this.#sendFurthest;
    if (flags & RST) {
      if (isAnswer) this.#end();
      return;
    }
    if (!isAnswer || !(flags & SYN)) return;
    this.#take(segment);
    this.#sendUnacknowledged = acknowledgement;
    this.#established(segment, now);
    this.#acknowledge();
    this.#output(now);
  }

  /** §3.10.7.4. */
  #receiveSynchronised(segment: TcpSegment, now: Nanos): void {
    const { flags } = segment;
    const offset = ahead(segment.sequence, this.#receiveNext);
    const room = Math.max(0, ahead(this.#promised, this.#receiveNext));
    const isBefore = offset + segment.span <= 0 && !(offset === 0 && segment.span === 0);
    if (isBefore || offset > room) {
      if (!(flags & RST)) this.#acknowledge();
      // A FIN that came again: its acknowledgement was lost, and the wait begins anew.
      if (this.#state === 'time-wait' && flags & FIN) this.#idleAt = now + TIME_WAIT;
      return;
    }
    if (flags & RST) {
      // RFC 5961 §3: only exactly at the edge; anything else is answered, and a peer that meant it says it again.
      if (offset === 0) this.#end();
      else this.#acknowledge();
      return;
    }
    if (flags & SYN) {
      this.#acknowledge();
      return;
    }
    if (!(flags & ACK) || !this.#acknowledged(segment, now)) return;
    if (this.#isOver) return;
    if (this.#state !== 'time-wait') this.#idleAt = now + (this.#finWanted || this.#finReceived ? HALF_CLOSED_IDLE : IDLE);
    if (offset > 0 && segment.span > 0) this.#acknowledge();
    else this.#receiveData(segment, Math.max(0, -offset), room, now);
    if (!this.#isOver) this.#output(now);
  }

  /** A call may have ended the connection; the compiler cannot know. */
  get #isOver(): boolean {
    return this.#state === 'closed';
  }

  /** What an acknowledgement says. False: the segment is not to be looked at further. */
  #acknowledged(segment: TcpSegment, now: Nanos): boolean {
    const { acknowledgement } = segment;
    const progress = ahead(acknowledgement, this.#sendUnacknowledged);
    if (ahead(acknowledgement, this.#sendFurthest) > 0) {
      if (this.#state === 'syn-received') this.#wire.send(RST, acknowledgement, 0, 0, this.#mss, this.#buffer, 0, 0);
      else this.#acknowledge();
      return false;
    }
    if (this.#state === 'syn-received') {
      if (progress <= 0) return false;
      this.#sendUnacknowledged = acknowledgement;
      this.#established(segment, now);
      return true;
    }
    // A shut window may stay shut, as long as its probes are answered (§3.8.6.1).
    if (progress >= 0 && this.#sendWindow === 0) this.#timeouts = 0;
    if (progress > 0) this.#progress(acknowledgement, progress, now);
    else if (progress === 0 && this.#isDuplicate(segment)) this.#duplicate(now);
    // §3.10.7.4: windows only from segments that are not older than the one that said it last.
    const newer = ahead(segment.sequence, this.#windowSequence);
    if (progress >= 0 && (newer > 0 || (newer === 0 && ahead(acknowledgement, this.#windowAcknowledgement) >= 0))) this.#takeWindow(segment, now);
    return true;
  }

  #established(segment: TcpSegment, now: Nanos): void {
    this.#state = 'open';
    this.#retransmitAt = NEVER;
    this.#timeouts = 0;
    this.#timer.acknowledged(segment.acknowledgement, now);
    this.#idleAt = now + IDLE;
    // The window of a SYN is never scaled (RFC 7323 §2.2).
    this.#sendWindow = segment.flags & SYN ? segment.window : segment.window << this.#sendScale;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledgement = segment.acknowledgement;
    this.#congestion = new CongestionWindow(this.#mss);
    if (this.#paused) this.#resume();
  }

  #takeWindow(segment: TcpSegment, now: Nanos): void {
    const before = this.#sendWindow;
    this.#sendWindow = segment.window << this.#sendScale;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledgement = segment.acknowledgement;
    if (before === 0 && this.#sendWindow > 0 && this.#inFlight > 0) {
      // What was probed with was perhaps not taken: it is sent again with the rest.
      this.#sendNext = this.#sendUnacknowledged;
      this.#timeouts = 0;
      this.#retransmitAt = now + this.#timer.timeout;
    }
  }

  /** New bytes arrived at the guest. */
  #progress(acknowledgement: number, count: number, now: Nanos): void {
    const released = Math.min(count, this.#buffer.length);
    this.#buffer.release(released);
    this.#sendUnacknowledged = acknowledgement;
    if (ahead(this.#sendNext, acknowledgement) < 0) this.#sendNext = acknowledgement;
    if (this.#finSent && acknowledgement === this.#sendFurthest && this.#buffer.length === 0) this.#finAcknowledged = true;
    this.#timer.acknowledged(acknowledgement, now);
    this.#timeouts = 0;
    if (this.#congestion.acknowledged(acknowledgement, count)) this.#sendOnce(0);
    this.#retransmitAt = this.#inFlight > 0 ? now + this.#timer.timeout : NEVER;
    if (this.#paused && !this.#buffer.isFull) this.#resume();
    if (this.#finAcknowledged && this.#finReceived) this.#finished(now);
  }

  /** RFC 5681 §2. */
  #isDuplicate(segment: TcpSegment): boolean {
    return segment.span === 0 && this.#inFlight > 0 && segment.window << this.#sendScale === this.#sendWindow;
  }

  /** RFC 5681 §3.2. */
  #duplicate(now: Nanos): void {
    if (!this.#congestion.duplicate(this.#inFlight, this.#sendFurthest)) return;
    this.#timer.disturbed();
    this.#sendOnce(0);
    this.#retransmitAt = now + this.#timer.timeout;
  }

  /** `skip`: bytes at its beginning that were there already. */
  #receiveData(segment: TcpSegment, skip: number, room: number, now: Nanos): void {
    if (this.#finReceived) return;
    const count = Math.min(segment.length - skip, room);
    if (count > 0) {
      this.#receiveNext = (this.#receiveNext + count) >>> 0;
      if (!this.#streamClosed) this.#stream?.write(segment.bytes.subarray(segment.data + skip, segment.data + skip + count));
    }
    const isWhole = skip + Math.max(0, count) >= segment.length;
    if (segment.flags & FIN && isWhole) {
      this.#receiveNext = (this.#receiveNext + 1) >>> 0;
      this.#finReceived = true;
      this.#idleAt = now + HALF_CLOSED_IDLE;
      if (!this.#streamClosed) this.#stream?.end();
    }
    if (segment.span > 0) this.#acknowledge();
    if (this.#finReceived && this.#finAcknowledged) this.#finished(now);
  }

  /** Both sides said all they had to say. */
  #finished(now: Nanos): void {
    this.#retransmitAt = NEVER;
    this.#state = 'time-wait';
    this.#idleAt = now + TIME_WAIT;
    this.#lingerUntil = now + HALF_CLOSED_IDLE;
  }

  // ── sending ──

  get #inFlight(): number {
    return ahead(this.#sendNext, this.#sendUnacknowledged);
  }

  #sendSyn(now: Nanos): void {
    this.#sendNext = (this.#sendUnacknowledged + 1) >>> 0;
    this.#sendFurthest = this.#sendNext;
    this.#promised = (this.#receiveNext + Math.min(0xffff, WINDOW_BYTES)) >>> 0;
    if (this.#timeouts === 0) this.#timer.sent(this.#sendUnacknowledged, now);
    this.#answerSyn();
    this.#retransmitAt = now + this.#timer.timeout;
  }

  #answerSyn(): void {
    if (this.#state === 'syn-sent') this.#wire.sendSyn(SYN, this.#sendUnacknowledged, 0, 0xffff, true);
    else this.#wire.sendSyn(SYN | ACK, this.#sendUnacknowledged, this.#receiveNext, 0xffff, this.#scaled);
  }

  /** As much as windows allow. */
  #output(now: Nanos): void {
    if (this.#state !== 'open') return;
    for (;;) {
      const sent = this.#inFlight;
      const waiting = this.#buffer.length - sent;
      const allowed = Math.min(this.#sendWindow, this.#congestion.bytes) - sent;
      if (waiting > 0 && allowed > 0) {
        const count = Math.min(waiting, allowed, LARGEST_SEND, MOST_SEGMENTS * this.#mss);
        // RFC 9293 §3.8.6.2.1: no small segment while more is on its way, unless it is all there is.
        if (count < this.#mss && count < waiting && sent > 0) break;
        this.#transmit(sent, count, now);
        continue;
      }
      // With the FIN on its way there would be one more in flight than there are bytes.
      if (waiting === 0 && this.#finWanted && !this.#finAcknowledged) {
        this.#finSent = true;
        this.#transmit(sent, 0, now);
      }
      break;
    }
    if (this.#retransmitAt !== NEVER) return;
    // Everything is acknowledged and the window is shut: it is probed (§3.8.6.1).
    if (this.#inFlight > 0 || this.#buffer.length > 0) this.#retransmitAt = now + this.#timer.timeout;
  }

  /** `count` bytes, `offset` behind the oldest unacknowledged one. */
  #transmit(offset: number, count: number, now: Nanos): void {
    const sequence = (this.#sendUnacknowledged + offset) >>> 0;
    if (sequence === this.#sendFurthest) this.#timer.sent(sequence, now);
    this.#sendOnce(offset, count);
    const hasFin = this.#finSent && offset + count === this.#buffer.length;
    this.#sendNext = (sequence + count + (hasFin ? 1 : 0)) >>> 0;
    if (ahead(this.#sendNext, this.#sendFurthest) > 0) this.#sendFurthest = this.#sendNext;
    if (this.#retransmitAt === NEVER) this.#retransmitAt = now + this.#timer.timeout;
  }

  #sendOnce(offset: number, length?: number): void {
    const available = Math.max(0, this.#buffer.length - offset);
    const count = Math.min(length ?? this.#mss, available);
    const isLast = offset + count >= this.#buffer.length;
    const flags = ACK | (isLast && count > 0 ? PSH : 0) | (isLast && this.#finSent && !this.#finAcknowledged ? FIN : 0);
    this.#send(flags, (this.#sendUnacknowledged + offset) >>> 0, offset, count);
  }

  #acknowledge(): void {
    if (this.#state === 'syn-received') {
      this.#answerSyn();
      return;
    }
    this.#send(ACK, this.#sendNext, 0, 0);
  }

  #send(flags: number, sequence: number, offset: number, count: number): void {
    this.#promised = this.#windowEdge();
    const window = Math.max(0, ahead(this.#promised, this.#receiveNext));
    this.#wire.send(flags, sequence, this.#receiveNext, window >>> this.#ourScale, this.#mss, this.#buffer, offset, count);
  }

  #sendReset(): void {
    // The host said no before we said anything: the RST answers the guest's SYN (§3.10.7.1).
    const sequence = this.#state === 'connecting' ? 0 : this.#sendNext;
    this.#wire.send(RST | ACK, sequence, this.#receiveNext, 0, this.#mss, this.#buffer, 0, 0);
  }

  get #ourScale(): number {
    return this.#scaled ? WINDOW_SCALE : 0;
  }

  /** Where our window ends: what the host has not taken yet is no room. It never moves back (§3.8.6). */
  #windowEdge(): number {
    const most = this.#scaled ? WINDOW_BYTES : 0xffff;
    const free = Math.max(0, most - (this.#streamClosed ? 0 : (this.#stream?.waiting ?? 0)));
    const edge = (this.#receiveNext + ((free >>> this.#ourScale) << this.#ourScale)) >>> 0;
    return ahead(edge, this.#promised) > 0 ? edge : this.#promised;
  }

  // ── time-outs ──

  /** RFC 6298 §5.4 to §5.6. */
  #retransmitted(now: Nanos): void {
    this.#timeouts++;
    const isSyn = this.#state === 'syn-received' || this.#state === 'syn-sent';
    const isProbe = !isSyn && this.#sendWindow === 0;
    if (this.#timeouts > (isSyn ? MOST_SYNS : MOST_TIMEOUTS)) {
      this.#sendReset();
      this.#end();
      return;
    }
    this.#timer.backOff();
    if (isSyn) {
      this.#sendSyn(now);
      return;
    }
    if (isProbe) {
      this.#sendOnce(0, 1);
      if (this.#inFlight === 0 && this.#buffer.length > 0) {
        this.#sendNext = (this.#sendUnacknowledged + 1) >>> 0;
        if (ahead(this.#sendNext, this.#sendFurthest) > 0) this.#sendFurthest = this.#sendNext;
      }
    } else {
      // From here everything is sent again, slowly.
      this.#congestion.timedOut(this.#inFlight, this.#timeouts === 1);
      this.#sendNext = this.#sendUnacknowledged;
      this.#transmit(0, Math.min(this.#mss, this.#buffer.length), now);
    }
    this.#retransmitAt = now + this.#timer.timeout;
  }

  // ── ──

  /** What a SYN says of the guest. */
  #take(syn: TcpSegment): void {
    this.#receiveNext = (syn.sequence + 1) >>> 0;
    this.#promised = this.#receiveNext;
    this.#mss = Math.min(this.#mss, syn.mss);
    this.#scaled = syn.windowScale !== undefined;
    this.#sendScale = syn.windowScale ?? 0;
    this.#sendWindow = syn.window;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream?.pause();
  }

  #resume(): void {
    this.#paused = false;
    if (!this.#streamClosed) this.#stream?.resume();
  }

  #end(): void {
    this.#state = 'closed';
    if (!this.#streamClosed) this.#stream?.destroy();
    this.#streamClosed = true;
    this.#wire.closed();
  }
}
