/**
 * Runtime checks of what the server sent. Each function gives the value with its type, or throws
 * MalformedMessageError naming the field. Unknown fields are ignored (PROTOCOL.md section 1).
 */

export class MalformedMessageError extends Error {
  constructor(where: string, expected: string) {
    super(`${where} is not ${expected}`);
    this.name = "MalformedMessageError";
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MalformedMessageError(where, "an object");
  }
  return value as Fields;
}

export function text(value: unknown, where: string): string {
  if (typeof value !== "string") throw new MalformedMessageError(where, "a string");
  return value;
}

export function optionalText(value: unknown, where: string): string | null {
  return value === null || value === undefined ? null : text(value, where);
}

export function flag(value: unknown, where: string): boolean {
  if (typeof value !== "boolean") throw new MalformedMessageError(where, "a boolean");
  return value;
}

/** A whole number from 0 up. */
export function count(value: unknown, where: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new MalformedMessageError(where, "a whole number from 0 up");
  }
  return value;
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], where: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new MalformedMessageError(where, `one of ${allowed.join(", ")}`);
  return found;
}

export function listOf<T>(value: unknown, where: string, each: (item: unknown, where: string) => T): T[] {
  if (!Array.isArray(value)) throw new MalformedMessageError(where, "a list");
  return value.map((item: unknown, index) => each(item, `${where}[${index}]`));
}

/** A list of which items of kinds that this client does not know are left out. */
export function knownOf<T extends string>(value: unknown, allowed: readonly T[], where: string): T[] {
  return listOf(value, where, text).flatMap((item) => allowed.find((candidate) => candidate === item) ?? []);
}
