import { closestMatch } from 'leven';

/** Maximum genres of a filter that are compared with all known ones: each takes time, and a list may have thousands. */
const mostNotes = 5;

/**
 * Hints about the genres of a filter, one sentence each: for one that no album has, the most similar one. At most five.
 *
 * @param known genres as written, by lower case
 */
export function genreNotes(
  genres: readonly string[],
  known: ReadonlyMap<string, string>,
): string[] {
  return genres
    .filter((genre) => !known.has(genre.toLowerCase()))
    .slice(0, mostNotes)
    .map((genre) => {
      const nearest = known.get(closestMatch(genre.toLowerCase(), [...known.keys()]) ?? '');
      const instead = nearest === undefined ? '' : `; the nearest is "${nearest}"`;
      return `No album has the genre "${genre}"${instead}.`;
    });
}
