/**
 * Characters that a terminal acts upon or that change how the text around them reads: C0 and C1
 * controls, line and paragraph separators, bidirectional controls, invisible tags, lone surrogates.
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]|\p{Cs}/gu

/** Text of a stranger (a key, an id, a server's answer) so that it can only be read: `\u{1b}[2J`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16) ?? 'fffd'}}`
  })
}

/** JSON that is still JSON and holds no character a terminal acts upon. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(UNSAFE, (character) => {
    // The line breaks are those of the layout: inside strings JSON.stringify has escaped them.
    return character === '\n' ? character : unicodeEscapes(character)
  })
}

/** The same on one line. */
export function printableJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, unicodeEscapes)
}

function unicodeEscapes(character: string): string {
  let escaped = ''
  for (let i = 0; i < character.length; i++) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return escaped
}
