import type { Album } from '../catalog/album.ts';
import { nameWords } from '../catalog/name-words.ts';

/** Marks the beginning of a word, so that it is not taken for a whole one. */
const mark = '^';
/** Longest beginning that is listed, in characters; a longer one is looked for by its first characters. */
const longestBeginning = 8;

/**
 * The terms by which an album is found, separated by spaces: the words of artist, title, label, year and genre in all
 * their spellings, and the beginnings of those of artist and title.
 */
export function nameTerms({ artist, albumName, label, releaseYear, genre }: Album): string {
  const words = (...texts: (string | null)[]) =>
    texts.flatMap((text) => (text === null ? [] : nameWords(text).flat(2)));
  const names = words(artist, albumName);
  const others = words(label, releaseYear === null ? null : String(releaseYear), genre);
  return [...new Set([...names, ...others, ...names.flatMap(beginnings)])].join(' ');
}

const beginnings = (word: string): string[] => {
  const letters = Array.from(word).slice(0, longestBeginning);
  return letters.map((_, i) => mark + letters.slice(0, i + 1).join(''));
};

/** The term that finds the words that begin so. */
export const beginning = (word: string): string =>
  mark + Array.from(word).slice(0, longestBeginning).join('');
