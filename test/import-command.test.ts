import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import sharp from 'sharp';
import { readCsvCatalog } from '../pipeline/csv-import/csv-catalog.ts';
import { isPublicAddress } from '../pipeline/csv-import/public-fetch.ts';
import { cli, eventsOf, startCli } from './support/cli.ts';
import { coverFile, starter, starterIds } from './support/requests.ts';

const ids = starterIds();
const cover = (i: number) => coverFile(ids[i] ?? 0);

type Answer = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

describe('the command import csv', { timeout: 1_800_000 }, () => {
  let folder = '';
  let base = '';
  /** Handlers by path; the default one responds with the cover whose number the path contains. */
  const answers = new Map<string, Answer>();
  const asked = new Map<string, number>();
  let [open, mostOpen] = [0, 0];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const nth = asked.get(path) ?? 0;
    asked.set(path, nth + 1);
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    response.once('close', () => (open -= 1));
    const number = Number(/\d+/.exec(path)?.[0] ?? 0);
    const answer = answers.get(path) ?? ((_, to) => to.end(cover(number)));
    answer(request, response, nth);
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'import-command-'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    answers.clear();
    asked.clear();
    mostOpen = 0;
  });

  const head = 'Artist,Album,Genre,Label,Year,Score,Best New Music,Author,Cover URL';
  const line = (i: number, url = `${base}/${String(i)}.jpg`) =>
    `Artist ${String(i)},Album ${String(i)},Rock,,${String(1990 + i)},7.${String(i % 10)},0,,${url}`;
  const writeCsv = async (name: string, lines: string[]) => {
    const path = join(folder, name);
    await writeFile(path, `${[head, ...lines].join('\n')}\n`);
    return path;
  };
  const importCsv = (csv: string, out: string, ...more: string[]) =>
    cli(['import', 'csv', csv, '--out', join(folder, out), '--allow-private', ...more]);

  test('assigns ids in row order, and writes what pandas would', async () => {
    const csv = await writeCsv('plain.csv', [
      `"Sigur Rós","( )","Rock / Electronic",FatCat,2002,8.9,1,"A, B",${base}/0.jpg`,
      `311,"Say ""hi""",,,,0,0,,${base}/1.jpg`,
      'Nobody,No cover,Rock,,2000,5,0,,',
      line(2),
    ]);
    const { status, output, errors } = await importCsv(csv, 'plain');
    assert.equal(status, 0, errors);
    assert.match(output, /3 albums with a cover/);
    assert.match(errors, /1 row without a cover URL skipped \(lines 4\)/);
    const path = join(folder, 'plain', 'valid_metadata_final.json');
    const text = await readFile(path, 'utf8');
    assert.ok(
      text.startsWith(
        '[\n  {\n    "local_id": 0,\n    "filename": "album_0.jpg",\n    "artist": "Sigur R\\u00f3s",\n    "album_name": "( )",\n    "genre": "Rock / Electronic",\n    "label": "FatCat",\n    "release_year": 2002.0,\n    "score": 8.9,\n    "best_new_music": 1,\n    "reviewer_name": "A, B",\n',
      ),
      text,
    );
    assert.match(text, /"artist": "311",\n {4}"album_name": "Say \\"hi\\"",\n {4}"genre": NaN/);
    assert.match(text, /"release_year": NaN,\n {4}"score": 0\.0,/);
    assert.deepEqual(await readFile(join(folder, 'plain', 'images', 'album_2.jpg')), cover(2));
    if (spawnSync('python3', ['--version']).status === 0) {
      const script = `import json; rows = json.load(open(${JSON.stringify(path)})); print(len(rows), rows[0]["artist"], rows[1]["genre"])`;
      const env = { ...process.env, PYTHONIOENCODING: 'utf8' };
      assert.equal(
        execFileSync('python3', ['-c', script], { encoding: 'utf8', env }).trim(),
        '3 Sigur Rós nan',
      );
    }
  });

  test('exits with 1 and keeps the old list if no cover can be fetched', async () => {
    const csv = await writeCsv('none.csv', [line(0), line(1)]);
    for (const i of [0, 1]) answers.set(`/${String(i)}.jpg`, (_, to) => to.writeHead(404).end());
    const list = join(folder, 'none', 'valid_metadata_final.json');
    await mkdir(join(folder, 'none'));
    await writeFile(list, 'old');
    const { status, errors } = await importCsv(csv, 'none');
    assert.equal(status, 1);
    assert.match(
      errors,
      /^Error: No covers could be fetched \(0 of 2\), so no list is written to /m,
    );
    assert.equal(await readFile(list, 'utf8'), 'old');
  });

  test('covers that cannot be fetched leave a gap, are reported with a reason and retried by the next run', async () => {
    answers.set('/1.jpg', (_, to) => to.writeHead(404).end());
    answers.set('/2.jpg', (_, to) => to.end('this is no picture'));
    answers.set('/3.jpg', (_, to) => to.end(cover(3).subarray(0, 9000)));
    answers.set('/4.jpg', (_, to) =>
      to.writeHead(200, { 'Content-Length': '20000000' }).write('x'),
    );
    answers.set('/5.jpg', (_, to) => {
      to.write(Buffer.alloc(6e6));
      to.end(Buffer.alloc(6e6));
    });
    const csv = await writeCsv(
      'gaps.csv',
      [0, 1, 2, 3, 4, 5, 6].map((i) => line(i)),
    );
    const { status, output } = await importCsv(csv, 'gaps', '--json', '--attempts', '1');
    assert.equal(status, 0);
    const failed = eventsOf(output).filter((event) => event['type'] === 'failed');
    assert.deepEqual(
      failed.map((event) => [event['albumId'], event['reason']]),
      [
        [1, 'the server answers 404'],
        [2, 'it is not a picture that can be read'],
        [3, 'it is not a picture that can be read'],
        [4, 'it is larger than 10 MB'],
        [5, 'it is larger than 10 MB'],
      ],
    );
    const readIds = async () =>
      (
        JSON.parse(
          (await readFile(join(folder, 'gaps', 'valid_metadata_final.json'), 'utf8')).replaceAll(
            'NaN',
            'null',
          ),
        ) as { local_id: number }[]
      ).map((row) => row.local_id);
    assert.deepEqual(await readIds(), [0, 6]);
    answers.clear();
    asked.clear();
    assert.equal((await importCsv(csv, 'gaps')).status, 0);
    assert.deepEqual(await readIds(), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(
      [...asked.keys()].sort(),
      [1, 2, 3, 4, 5].map((i) => `/${String(i)}.jpg`),
    );
  });

  test('requests that fail, are throttled or break off are retried, respecting Retry-After', async () => {
    const times: number[] = [];
    answers.set('/0.jpg', (_, to, nth) => (nth < 2 ? to.writeHead(503).end() : to.end(cover(0))));
    answers.set('/1.jpg', (_, to, nth) => {
      times.push(Date.now());
      if (nth === 0) to.writeHead(429, { 'Retry-After': '2' }).end();
      else to.end(cover(1));
    });
    answers.set('/2.jpg', (from, to, nth) => {
      if (nth > 0) to.end(cover(2));
      else
        to.writeHead(200, { 'Content-Length': String(cover(2).length) }).write(
          cover(2).subarray(0, 5000),
          () => from.socket.destroy(),
        );
    });
    answers.set('/3.jpg', (from, to, nth) =>
      nth === 0 ? from.socket.resetAndDestroy() : to.end(cover(3)),
    );
    const csv = await writeCsv(
      'again.csv',
      [0, 1, 2, 3].map((i) => line(i)),
    );
    const { status, errors } = await importCsv(csv, 'again');
    assert.equal(status, 0, errors);
    for (const i of [0, 1, 2, 3])
      assert.deepEqual(
        await readFile(join(folder, 'again', 'images', `album_${String(i)}.jpg`)),
        cover(i),
      );
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 1900);
  });

  test('--per-host limits the concurrent requests to one host', async () => {
    // Responds to three requests at once, after a fourth has had time to arrive.
    let waiting: (() => void)[] = [];
    for (let i = 0; i < 12; i += 1)
      answers.set(`/${String(i)}.jpg`, (_, to) => {
        waiting.push(() => to.end(cover(i)));
        if (waiting.length < 3) return;
        const three = waiting;
        waiting = [];
        void sleep(50).then(() => {
          for (const end of three) end();
        });
      });
    const csv = await writeCsv(
      'polite.csv',
      Array.from({ length: 12 }, (_, i) => line(i)),
    );
    assert.equal((await importCsv(csv, 'polite', '--per-host', '3')).status, 0);
    assert.equal(mostOpen, 3);
  });

  test('a PNG is converted to JPEG, and redirects are followed', async () => {
    const png = await sharp(cover(0)).resize(200, 200).png().toBuffer();
    answers.set('/0.jpg', (_, to) => to.end(png));
    answers.set('/1.jpg', (_, to) => to.writeHead(302, { Location: '/moved/1.jpg' }).end());
    answers.set('/2.jpg', (_, to) => to.writeHead(302, { Location: '/2.jpg' }).end());
    answers.set('/3.jpg', (_, to) => to.writeHead(302, { Location: 'file:///etc/passwd' }).end());
    const csv = await writeCsv(
      'formats.csv',
      [0, 1, 2, 3].map((i) => line(i)),
    );
    const { errors } = await importCsv(csv, 'formats');
    const made = await sharp(
      await readFile(join(folder, 'formats', 'images', 'album_0.jpg')),
    ).metadata();
    assert.equal(made.format, 'jpeg');
    assert.deepEqual(await readFile(join(folder, 'formats', 'images', 'album_1.jpg')), cover(1));
    assert.match(errors, /album 2: .*it was redirected 5 times/);
    assert.match(errors, /album 3: .*it redirects to file:/);
  });

  test('private addresses are refused, whether given by number or by name', async () => {
    const port = new URL(base).port;
    const csv = await writeCsv('private.csv', [
      line(0),
      line(1, `http://localhost:${port}/1.jpg`),
      line(2, 'http://169.254.169.254/latest/meta-data/'),
      line(3, `http://[::1]:${port}/3.jpg`),
    ]);
    const { status, errors } = await cli(['import', 'csv', csv, '--out', join(folder, 'private')]);
    assert.equal(status, 1);
    for (const i of [0, 1, 2, 3])
      assert.match(errors, new RegExp(`album ${String(i)}: .* is a private address`));
    assert.equal(asked.size, 0, 'nothing was asked for');
    for (const address of [
      '10.1.2.3',
      '172.20.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '0.0.0.0',
      '::1',
      'fe80::1',
      'fd00::1',
      '::ffff:10.0.0.1',
      '224.0.0.1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      'fec0::1',
    ])
      assert.ok(!isPublicAddress(address), address);
    for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111'])
      assert.ok(isPublicAddress(address), address);
  });

  test('leaves no partial cover when killed, and resumes', async () => {
    for (let i = 0; i < 20; i += 1)
      answers.set(`/${String(i)}.jpg`, (_, to) => {
        to.write(cover(i).subarray(0, 4000));
        if (i < 8) to.end(cover(i).subarray(4000)); // the others never finish
      });
    const csv = await writeCsv(
      'killed.csv',
      Array.from({ length: 20 }, (_, i) => line(i)),
    );
    const args = ['import', 'csv', csv, '--out', join(folder, 'killed'), '--allow-private'];
    const killed = startCli(args);
    const images = join(folder, 'killed', 'images');
    while (
      (await readdir(images).catch(() => [])).filter((name) => name.endsWith('.jpg')).length < 6
    )
      await sleep(10);
    killed.child.kill('SIGKILL');
    await killed.ended;
    answers.clear();
    for (const name of (await readdir(images)).filter((one) => one.endsWith('.jpg')))
      assert.deepEqual(await readFile(join(images, name)), cover(Number(/\d+/.exec(name)?.[0])));
    asked.clear();
    const { status, output } = await cli(args);
    assert.equal(status, 0);
    assert.match(output, /covers already present/);
    assert.ok(asked.size <= 14, String(asked.size));
    assert.equal((await readdir(images)).filter((name) => name.endsWith('.jpg')).length, 20);
  });

  test('fetches the other covers whatever one host responds', async () => {
    const odd = [
      ...['http://[', 'http://:99999/', 'https://', 'http://a b/', 'http://\u00e9%ff%/', '//'].map(
        (location) => `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
      ),
      'HTTP/1.1 302 Found\r\nLocation: mailto:a@b\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 302 Found\r\nLocation: http://user:pa%@127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 302 Found\r\nLocation: a\r\nLocation: b\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n',
      `HTTP/1.1 302 Found\r\nLocation: http://${'a'.repeat(70)}.example/\r\nContent-Length: 0\r\n\r\n`,
      'HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
      'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\nbad header\r\n\r\n',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 429 Slow down\r\nRetry-After: 1e300\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 503 Down\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n',
      'nothing of the kind\r\n\r\n',
      '',
    ];
    const raw = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => {
        const number = Number(/^GET \/(\d+)/.exec(bytes.toString('latin1'))?.[1] ?? NaN);
        socket.end(odd[number] ?? 'not TLS');
      });
    }).listen(0, '127.0.0.1');
    await once(raw, 'listening');
    const at = `127.0.0.1:${String((raw.address() as AddressInfo).port)}`;
    const csv = await writeCsv('odd-hosts.csv', [
      ...odd.map((_, i) => line(i, `http://${at}/${String(i)}`)),
      line(90, `https://${at}/`),
      line(91, 'http://127.0.0.1:1/'),
      line(92, 'http://x.invalid/'),
      line(93),
    ]);
    const { status, output, errors } = await importCsv(
      ...([csv, 'odd-hosts', '--attempts', '2', '--json'] as const),
    );
    raw.close();
    assert.equal(status, 0, errors);
    const events = eventsOf(output);
    const failed = events.filter(({ type }) => type === 'failed');
    assert.equal(failed.length, odd.length + 3);
    for (const { reason } of failed) assert.ok(reason);
    assert.equal(failed[0]?.['reason'], 'it redirects to "http://[", which is not a URL');
    assert.equal(events.find(({ type }) => type === 'imported')?.['albums'], 1);
  });

  test('refuses to import a different list into the same folder', async () => {
    const first = await writeCsv('first.csv', [line(0)]);
    const second = await writeCsv('second.csv', [line(1), line(0)]);
    assert.equal((await importCsv(first, 'claimed')).status, 0);
    const { status, errors } = await importCsv(second, 'claimed');
    assert.equal(status, 1);
    assert.match(errors, /was created from a different list/);
  });

  test('refuses a file that is not a list of albums, with the reason', () => {
    for (const [text, sentence] of [
      ['', /it is empty/],
      ['a,b\n1,2\n', /expected a column for the cover \(cover_url, .*\) but the header has a, b/],
      ['artist,cover\nx,not a url\n', /no row has the URL of a cover/],
      ['artist,cover\n"x,http://a/b\n', /Quote/],
      ['artist,cover\na,http://x/y,too,many\n', /Invalid Record Length/],
    ] as const)
      assert.throws(() => readCsvCatalog('list.csv', Buffer.from(text)), sentence);
  });

  describe('a CSV as found in practice', () => {
    const [name, title] = ['Björk', 'Post'];
    const said = (text: string | Uint8Array) => {
      const { albums, notes } = readCsvCatalog('list.csv', Buffer.from(text));
      const [first] = albums;
      return { first, notes };
    };
    const heading = ['Artist', 'Album', 'Genre', 'Year', 'Score', 'Cover'];
    const values = [name, title, 'Electronic', '1995', '9.1', 'http://x/1.jpg'];
    const table = (delimiter: string) =>
      [heading, values].map((cells) => cells.join(delimiter)).join('\r\n');

    for (const [what, text, notes] of [
      ['commas', table(','), []],
      ['semicolons', table(';').replace('9.1', '9,1'), ['Its values are separated by semicolons.']],
      ['tabs', table('\t'), ['Its values are separated by tabs.']],
      ['bars', table('|'), ['Its values are separated by bars.']],
      ['a byte order mark', `\uFEFF${table(',')}`, []],
      [
        'UTF-16, as Excel writes it',
        Buffer.from(`\uFEFF${table('\t')}`, 'utf16le'),
        ['The file is UTF-16, and was converted.', 'Its values are separated by tabs.'],
      ],
      [
        'Latin-1',
        Buffer.from(table(','), 'latin1'),
        ['The file is not UTF-8 but Latin-1 (Windows-1252), and was converted.'],
      ],
    ] as const)
      test(`${what}: read, with the expected notes`, () => {
        const found = said(text);
        assert.deepEqual(
          [
            found.first?.artist,
            found.first?.albumName,
            found.first?.releaseYear,
            found.first?.score,
          ],
          [name, title, 1995, 9.1],
        );
        assert.deepEqual(found.notes, notes);
      });

    for (const [column, value] of [
      ['year_released', '1995'],
      ['Year of Release', '1995.0'],
      ['release_date', '1995-06-13'],
      ['Released', 'June 13, 1995'],
      ['date', '803001600'],
    ] as const)
      test(`${column} ${value} is 1995`, () => {
        assert.equal(said(`${column},cover\n"${value}",http://x/1.jpg`).first?.releaseYear, 1995);
      });

    for (const [value, score] of [
      ['8.1/10', 8.1],
      ['81%', 8.1],
      ['81/100', 8.1],
      ['4/5', 8],
      ['"8,1"', 8.1],
      ['81', 8.1],
    ] as const)
      test(`a score of ${value} is ${String(score)}`, () => {
        assert.equal(said(`rating,cover\n${value},http://x/1.jpg`).first?.score, score);
      });

    test('placeholders become null, and a list of genres becomes several genres', () => {
      const { first } = said(
        'artist,album,genre,label,cover\nNULL,N/A,"Rock, Jazz",None,http://x/1.jpg',
      );
      assert.deepEqual(
        [first?.artist, first?.albumName, first?.genre, first?.label],
        [null, null, 'Rock / Jazz', null],
      );
    });

    test('values that cannot be parsed are counted by column and shown', () => {
      const { notes } = said(
        'artist,album,genre,year,score,cover\nA,B,Rock,soon,good,http://x/1.jpg\nA,B,Rock,later,8,http://x/2.jpg',
      );
      assert.deepEqual(notes, [
        '2 values of the column year could not be understood and are left out: "soon", "later"',
        '1 value of the column score could not be understood and is left out: "good"',
      ]);
    });
  });

  test('local covers are read from the folder of the CSV and nowhere else', async () => {
    const dir = join(folder, 'beside');
    await mkdir(join(dir, 'covers'), { recursive: true });
    await writeFile(join(dir, 'covers', 'a b.jpg'), cover(1));
    await writeFile(join(dir, 'covers', '2.png'), await sharp(cover(2)).png().toBuffer());
    await writeFile(join(folder, 'secret.jpg'), cover(3));
    const csv = join(dir, 'list.csv');
    const rows = [
      'covers/a b.jpg',
      'covers\\2.png',
      './covers/gone.jpg',
      '../secret.jpg',
      '/etc/hosts.jpg',
    ];
    await writeFile(
      csv,
      ['artist,cover', ...rows.map((path, i) => `A${String(i)},${path}`)].join('\n'),
    );
    const { status, output, errors } = await importCsv(csv, 'beside-out', '--json');
    assert.equal(status, 0, errors);
    const events = eventsOf(output);
    assert.deepEqual(
      events
        .filter(({ type }) => type === 'failed')
        .map(({ albumId, reason }) => [albumId, reason]),
      [
        [2, 'there is no such file'],
        [3, 'it lies outside the folder of the list'],
        [4, 'it lies outside the folder of the list'],
      ],
    );
    assert.equal(events.find(({ type }) => type === 'imported')?.['albums'], 2);
    const made = await sharp(join(folder, 'beside-out', 'images', 'album_1.jpg')).metadata();
    assert.equal(made.format, 'jpeg');
  });

  test('goes from a CSV to a search as described in docs/csv-to-search.md', async () => {
    const csv = await writeCsv(
      'whole.csv',
      Array.from({ length: 30 }, (_, i) => line(i)),
    );
    const dir = join(folder, 'whole');
    assert.equal((await importCsv(csv, 'whole')).status, 0);
    const set = [
      '--images',
      join(dir, 'images'),
      '--metadata',
      join(dir, 'valid_metadata_final.json'),
    ];
    const built = await cli(['index', 'build', ...set, '--out', dir, '--model', starter.clipDir]);
    assert.equal(built.status, 0, built.errors);
    const checked = await cli([
      'verify',
      dir,
      '--images',
      join(dir, 'images'),
      '--model',
      starter.clipDir,
    ]);
    assert.equal(checked.status, 0, checked.output);
    const { cp } = await import('node:fs/promises');
    await cp(starter.clipDir, join(dir, 'clip'), {
      recursive: true,
      filter: (path) => !path.includes('catalog'),
    });
    const found = await cli(['search', 'image', join(dir, 'images', 'album_12.jpg'), '-k', '1'], {
      MODELS_DIR: dir,
      IMAGES_DIR: join(dir, 'images'),
    });
    assert.match(found.output, /Artist 12 – Album 12 {2}\(2002, Rock, 7\.2\) {2}#12\n/);
  });
});
