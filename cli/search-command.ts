import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { Config } from '../lib/config/config.ts';
import { toIdentified, toResult } from '../lib/search/result-json.ts';
import { createLogger } from '../lib/log.ts';
import type { Identified } from '../lib/search/corpus.ts';
import {
  searchBy,
  type Hit,
  type SearchAnswer,
  type SearchBy,
  type SearchService,
} from '../lib/search/search-service.ts';
import { createServices } from '../lib/services.ts';
import type { Output } from './output.ts';
import { numberWithin, runTask, wholeNumber, withJson } from './run.ts';

interface SearchFlags {
  k: number;
  genre?: string[];
  yearMin?: number;
  yearMax?: number;
  scoreMin?: number;
  bestNewMusic?: boolean;
  json?: boolean;
}

/** `search image FILE`, `search text WORDS` and `search name WORDS`, with the same services as the API. */
export function searchCommand(config: Config): Command {
  const find = (
    flags: SearchFlags,
    ask: (
      search: SearchService,
      options: Parameters<SearchService['byText']>[1],
    ) => Promise<SearchAnswer>,
  ) =>
    runTask(flags, async ({ output }) => {
      const { search, assets } = createServices(
        { ...config, encoder: { ...config.encoder, workers: 1 } }, // there is only one query
        createLogger('silent'),
      );
      const starter = (await assets()).origin === 'starter';
      if (starter)
        output.note(
          { type: 'starter_set', starter_set: true },
          `These are made-up albums from the starter set, because MODELS_DIR (${config.assets.modelsDir}) has no files of your own.`,
        );
      const { k, genre, yearMin, yearMax, scoreMin, bestNewMusic } = flags;
      const given = { genres: genre, yearMin, yearMax, scoreMin, bestNewMusic };
      const filter = Object.fromEntries(
        Object.entries(given).filter(([, value]) => value !== undefined),
      );
      const answer = await ask(search, { k, filter });
      for (const note of answer.notes) output.note({ type: 'note', note }, note);
      if (answer.identified) printIdentified(answer.identified, output);
      print(answer.hits, starter, output);
      return undefined;
    });
  return new Command('search')
    .description('search for albums by picture, by description or by name')
    .addCommand(
      withFilters(new Command('image').description('search by picture').argument('<file>')).action(
        (file: string, flags: SearchFlags) =>
          find(flags, async (search, options) => search.byImage(await readFile(file), options)),
      ),
    )
    .addCommand(
      withFilters(new Command('text').description('search by text').argument('<words...>'))
        .addOption(
          new Option('--by <what>', 'what the text describes').choices(searchBy).default('cover'),
        )
        .action((words: string[], { by, ...flags }: SearchFlags & { by: SearchBy }) =>
          find(flags, (search, options) => search.byText(words.join(' '), { ...options, by })),
        ),
    )
    .addCommand(
      withFilters(
        new Command('name')
          .description('search by artist, title, label, year or genre')
          .argument('<words...>'),
      ).action((words: string[], flags: SearchFlags) =>
        find(flags, (search, options) => search.byName(words.join(' '), options)),
      ),
    );
}

const withFilters = (command: Command): Command =>
  withJson(
    command
      .option('-k, --k <n>', 'number of results', wholeNumber(1), 10)
      .option('--genre <genre...>', 'only these genres')
      .option('--year-min <year>', 'released in this year or later', wholeNumber(0))
      .option('--year-max <year>', 'released in this year or earlier', wholeNumber(0))
      .option('--score-min <score>', 'Pitchfork score, at least', numberWithin(0, 10))
      .option('--best-new-music', 'only Best New Music'),
  );

const nameOf = ({ artist, albumName }: Hit['album']) =>
  `${artist ?? '(unknown)'} – ${albumName ?? '(untitled)'}`;

/** The albums recognised in the picture. */
function printIdentified(identified: readonly Identified[], output: Output): void {
  if (identified.length === 0)
    output.result(
      { type: 'not_identified' },
      'No album of this catalog was recognised in the picture. The nearest covers:',
    );
  for (const one of identified) {
    const { album, points, alternatives } = one;
    const others = alternatives.map((other) => `${nameOf(other)} #${String(other.id)}`);
    output.result(
      { type: 'identified', ...toIdentified(one) },
      `This is ${nameOf(album)}  #${String(album.id)}  (${String(points)} matching points)${others.length > 0 ? `; or ${others.join('; or ')}` : ''}`,
    );
  }
}

function print(hits: readonly Hit[], starter: boolean, output: Output): void {
  if (hits.length === 0) {
    output.note({ type: 'none' }, 'No album matches.');
    return;
  }
  for (const [i, hit] of hits.entries()) {
    const { album, similarity, matched } = hit;
    const about = [album.releaseYear, album.genre, album.score?.toFixed(1)].filter(
      (part) => part != null,
    );
    output.result(
      { type: 'hit', rank: i + 1, ...toResult(hit), ...(starter && { starter_set: true }) },
      [
        String(i + 1).padStart(3),
        ...(similarity === null ? [] : [similarity.toFixed(3)]),
        nameOf(album),
        `(${about.join(', ')})`,
        `#${String(album.id)}`,
        ...(matched && similarity !== null ? [`matches by ${matched.join(' and ')}`] : []),
      ].join('  '),
    );
  }
}
