import * as z from 'zod';
import { AppError, type ErrorCode } from '../errors.ts';

/** A pattern comes first: `Number` would take `''`, `' '`, `0x10` and `1e1` too. */
const numeric = (pattern: RegExp, value: z.ZodNumber) =>
  z.string().trim().regex(pattern).transform(Number).pipe(value);

/** An integer written as text. */
export const integer = (min: number, max: number) =>
  numeric(/^[+-]?\d+$/, z.number().int().min(min).max(max)).describe(
    `an integer from ${String(min)} to ${String(max)}`,
  );

/** A decimal number written as text. */
export const number = (min: number, max: number) =>
  numeric(/^[+-]?(\d+(\.\d*)?|\.\d+)$/, z.number().min(min).max(max)).describe(
    `a number from ${String(min)} to ${String(max)}`,
  );

/**
 * Parses named text values (an environment, a query string, a form) by a schema. The description of each field says
 * what it expects.
 *
 * @throws AppError of the given code: one sentence per wrong field, with its name, what was expected and what was
 *   received
 */
export function parseFields<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  given: Readonly<Record<string, unknown>>,
  code: ErrorCode,
): z.output<z.ZodObject<Shape>> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const names = [...new Set(parsed.error.issues.map((issue) => String(issue.path[0])))];
  const sentences = names.map(
    (name) =>
      `Expected ${expectation(schema.shape[name])} for ${name} but received ${received(given[name])}.`,
  );
  throw new AppError(code, sentences.join(' '), { parameters: names });
}

/** What a field expects: its outermost description. */
const expectation = (field: unknown): string => {
  if (field instanceof z.ZodType && field.description !== undefined) return field.description;
  const isWrapper = field instanceof z.ZodDefault || field instanceof z.ZodOptional;
  return isWrapper ? expectation(field.unwrap()) : 'another value';
};

const received = (value: unknown): string => {
  if (value === undefined) return 'nothing';
  const text = Array.isArray(value)
    ? value.join(', ')
    : JSON.stringify(value).replace(/^"|"$/g, '');
  return `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`;
};
