/**
 * Host-side errors. Every code stands in {@link ERRORS} and in docs/errors.md (generated from it).
 * Three kinds of wrong are kept apart: host errors throw BulkheadError; manifest errors are collected Findings;
 * guest errors never throw: they are contained, counted and shown.
 */

export interface ErrorDescription {
  readonly title: string;
  /** What the user can do about it. */
  readonly remedy: string;
}

export type ErrorCode = `BH${number}`;

export class BulkheadError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BulkheadError';
    this.code = code;
    this.hint = options.hint;
  }
}
