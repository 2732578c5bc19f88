import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  brotliCompressSync,
  brotliDecompressSync,
  deflateSync,
  gunzipSync,
  gzipSync,
} from 'node:zlib';
import sharp from 'sharp';
import { bomb, brokenHeic, brokenPng, heicPhoto, jxl, manyScans, noise, svg } from './pictures.ts';
import {
  coverFile,
  form,
  get,
  root,
  starterIds,
  starterRows,
  upload,
  type TestRequest,
  type TestResponse,
} from './requests.ts';

export interface Case {
  name: string;
  request: TestRequest;
  status: number;
  /** The error code, for error responses. */
  code?: string;
  /** Pattern of the error's detail. */
  detail?: RegExp;
  check?: (response: TestResponse) => void;
}

interface Identified {
  album_id: number;
  artist: string | null;
  album_name: string | null;
  points: number;
  outline: [number, number][];
  alternatives: number[];
}

interface SearchBody {
  success: boolean;
  query_type: string;
  total_results: number;
  query?: string;
  results: Record<string, unknown>[];
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names what it expects
export const json = <T = Record<string, unknown>>(response: TestResponse): T => {
  assert.match(response.headers['content-type'] ?? '', /^application\/(problem\+)?json/);
  return JSON.parse(response.body.toString()) as T;
};

const results = (response: TestResponse) => json<SearchBody>(response).results;

const resultKeys = [
  'album_id',
  'artist',
  'album_name',
  'genre',
  'release_year',
  'similarity_score',
  'pitchfork_score',
  'best_new_music',
  'image_url',
  'cover_url_original',
];

/** The built page. */
const page = join(root, 'dist', 'web');

/** The page's script, style sheet and icon by type; their names contain a hash of their content. */
function pageAssets(): Map<string, string> {
  const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg\\+xml' };
  const names = readdirSync(join(page, 'assets'));
  return new Map(
    Object.entries(types).map(([ending, type]) => [
      type,
      names.find((name) => name.endsWith(`.${ending}`)) ?? `no .${ending} was built`,
    ]),
  );
}

const decoded = (body: Buffer, encoding: 'identity' | 'gzip' | 'br'): Buffer => {
  if (encoding === 'br') return brotliDecompressSync(body);
  return encoding === 'gzip' ? gunzipSync(body) : body;
};

/** Test cases for which HTTP and Lambda must respond alike, with the starter set. */
export async function contractCases(): Promise<Case[]> {
  const ids = starterIds();
  const rows = starterRows();
  const id = ids[17] ?? 0;
  const cover = coverFile(id);
  const row = rows[17] ?? {};
  const artist = String(row['artist']);
  const fullName = `${artist} ${String(row['album_name'])}`;
  const total = ids.length;
  const genre = String(row['genre']).split(' / ')[0] ?? '';
  const absentId = Math.max(...ids) + 1;
  const found = (response: TestResponse) => {
    const body = json<SearchBody>(response);
    assert.equal(body.success, true);
    assert.equal(body.total_results, body.results.length);
    return body;
  };
  const firstIs = (albumId: number) => (response: TestResponse) => {
    assert.equal(results(response)[0]?.['album_id'], albumId);
  };
  const refused = (
    name: string,
    request: TestRequest,
    status: number,
    code: string,
    detail: RegExp,
  ): Case => ({ name, request, status, code, detail });
  const search = '/api/search-by-image';
  const noAlbum = await sharp(noise(300 * 300 * 3), {
    raw: { width: 300, height: 300, channels: 3 },
  })
    .jpeg()
    .toBuffer();
  const text = '/api/search-by-text?query=red+circle';

  return [
    {
      name: 'GET / names the service, its endpoints and the starter set',
      request: get('/'),
      status: 200,
      check: (response) => {
        const body = json(response);
        assert.equal(body['name'], 'shazam-visual');
        assert.equal(body['albums_indexed'], total);
        assert.equal(body['starter_set'], true);
        assert.match(String(body['model']), /starter/);
        assert.ok((body['endpoints'] as string[]).includes('POST /api/search-by-image'));
      },
    },
    {
      name: 'GET / gives a browser the page, under a strict policy, to be asked about each time',
      request: get('/', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }),
      status: 200,
      check: (response) => {
        assert.match(response.headers['content-type'] ?? '', /^text\/html/);
        assert.match(response.headers['vary'] ?? '', /Accept\b/);
        assert.equal(response.headers['cache-control'], 'no-cache');
        assert.ok(response.headers['etag']);
        const policy = response.headers['content-security-policy'] ?? '';
        assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/);
        assert.doesNotMatch(policy, /unsafe|\*/);
        assert.match(response.body.toString(), /^<!doctype html>/);
        assert.doesNotMatch(response.body.toString(), /(src|href)="https?:/);
      },
    },
    ...[...pageAssets()].flatMap(([type, name]) =>
      (['identity', 'gzip', 'br'] as const).map((encoding): Case => ({
        name: `the page's ${type} is sent as ${encoding}, to be kept for good`,
        request: get(`/assets/${name}`, { 'accept-encoding': encoding }),
        status: 200,
        check: (response) => {
          assert.match(response.headers['content-type'] ?? '', new RegExp(`^${type}`));
          assert.equal(response.headers['cache-control'], 'public, max-age=31536000, immutable');
          assert.match(response.headers['vary'] ?? '', /Accept-Encoding/);
          const said = response.headers['content-encoding'] ?? 'identity';
          assert.equal(said, encoding);
          assert.deepEqual(
            decoded(response.body, encoding),
            readFileSync(join(page, 'assets', name)),
          );
        },
      })),
    ),
    refused(
      'an asset that the page does not have is not found',
      get('/assets/app-00000000.js'),
      404,
      'route_not_found',
      /GET \/ lists/,
    ),
    refused(
      'a path out of the page is not found',
      get('/assets/..%2f..%2fpackage.json'),
      404,
      'route_not_found',
      /GET \/ lists/,
    ),
    refused(
      'POST to an asset is refused',
      { method: 'POST', path: '/assets/app.js' },
      405,
      'method_not_allowed',
      /GET or HEAD/,
    ),
    {
      name: 'GET /health tells what is loaded',
      request: get('/health'),
      status: 200,
      check: (response) => {
        const body = json(response);
        assert.equal(body['status'], 'healthy');
        assert.deepEqual(Object.keys(body['models_loaded'] as object), [
          'image_encoder',
          'text_encoder',
          'index',
          'catalog',
        ]);
        assert.ok([true, null].includes(body['identification'] as boolean | null));
        assert.ok((body['uptime_seconds'] as number) >= 0);
        assert.ok((body['response_time_ms'] as number) >= 0);
      },
    },
    {
      name: 'GET /ready says yes when index and catalog fit',
      request: get('/ready'),
      status: 200,
      check: (response) => {
        assert.deepEqual(json(response), { status: 'ready', albums_indexed: total });
      },
    },
    {
      name: 'a cover finds its album first, with every field of the contract',
      request: upload(cover),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query_type, 'image');
        assert.equal(body.total_results, 10);
        const first = body.results[0] ?? {};
        assert.deepEqual(Object.keys(first), resultKeys);
        assert.equal(first['album_id'], id);
        assert.equal(first['artist'], row['artist']);
        assert.equal(first['album_name'], row['album_name']);
        assert.equal(first['pitchfork_score'], row['score']);
        assert.equal(first['release_year'], row['release_year']);
        assert.equal(first['image_url'], `/api/image/${String(id)}`);
        assert.ok((first['similarity_score'] as number) > 0.99);
        const scores = body.results.map((result) => result['similarity_score'] as number);
        assert.deepEqual(
          scores,
          [...scores].sort((a, b) => b - a),
        );
      },
    },
    {
      name: 'a cover is identified, with its outline',
      request: upload(cover, '?k=1&genre=No+such+genre'),
      status: 200,
      check: (response) => {
        const { identified, results } = json<{ identified: Identified[]; results: unknown[] }>(
          response,
        );
        assert.deepEqual(results, [], 'which filters do not keep from it');
        const [first] = identified;
        assert.equal(identified.length, 1);
        assert.ok(first);
        assert.deepEqual(Object.keys(first), [
          ...['album_id', 'artist', 'album_name', 'points', 'outline', 'alternatives'],
        ]);
        assert.equal(first.album_id, id);
        assert.equal(first.artist, row['artist']);
        assert.equal(first.album_name, row['album_name']);
        assert.ok(first.points >= 8, String(first.points));
        const corners = first.outline.map((corner) =>
          corner.map((part) => Number(part.toFixed(1)) + 0),
        );
        assert.deepEqual(corners, [
          [0, 0],
          [1, 0],
          [1, 1],
          [0, 1],
        ]);
        assert.deepEqual(first.alternatives, []);
      },
    },
    {
      name: 'no album is identified in a picture of none',
      request: upload(noAlbum, '?k=1'),
      status: 200,
      check: (response) => {
        assert.deepEqual(json(response)['identified'], []);
        assert.equal(found(response).total_results, 1);
      },
    },
    ...['identify=false', 'identify=0'].map((query): Case => ({
      name: `${query} leaves it out`,
      request: upload(cover, `?k=1&${query}`),
      status: 200,
      check: (response) => {
        assert.equal(json(response)['identified'], null);
        firstIs(id)(response);
      },
    })),
    {
      name: 'identify in the form does, too',
      request: form(search, ['identify', 'off'], ['file', cover, 'cover.jpg']),
      status: 200,
      check: (response) => {
        assert.equal(json(response)['identified'], null);
      },
    },
    refused(
      'identify=maybe is refused',
      upload(cover, '?identify=maybe'),
      400,
      'invalid_parameter',
      /true or false for identify but received "maybe"/,
    ),
    {
      name: 'k in the form says how many',
      request: form(search, ['k', '3'], ['file', cover, 'cover.jpg']),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 3);
      },
    },
    {
      name: 'k in the query says how many, and may come after the file in a form',
      request: form(`${search}?k=2`, ['file', cover, 'c.jpg'], ['k', '4']),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 4);
      },
    },
    {
      name: 'a raw image body is a picture too',
      request: {
        method: 'POST',
        path: `${search}?k=1`,
        headers: { 'content-type': 'image/jpeg' },
        body: cover,
      },
      status: 200,
      check: firstIs(id),
    },
    {
      name: 'a raw body of application/octet-stream is a picture where its bytes are one',
      request: {
        method: 'POST',
        path: `${search}?k=1`,
        headers: { 'content-type': 'application/octet-stream' },
        body: cover,
      },
      status: 200,
      check: firstIs(id),
    },
    ...(
      [
        ['gzip', gzipSync],
        ['deflate', deflateSync],
        ['br', brotliCompressSync],
      ] as const
    ).flatMap(([encoding, compress]): Case[] => [
      {
        name: `a raw body in ${encoding} is unpacked`,
        request: {
          method: 'POST',
          path: `${search}?k=1`,
          headers: { 'content-type': 'image/jpeg', 'content-encoding': encoding },
          body: compress(cover),
        },
        status: 200,
        check: firstIs(id),
      },
      refused(
        `a small body in ${encoding} that unpacks to more than the limit is refused`,
        {
          method: 'POST',
          path: search,
          headers: { 'content-type': 'image/jpeg', 'content-encoding': encoding },
          body: compress(Buffer.alloc(30e6)),
        },
        413,
        'upload_too_large',
        /larger than 10 MB/,
      ),
      refused(
        `a body that only says that it is ${encoding} is refused`,
        {
          method: 'POST',
          path: search,
          headers: { 'content-type': 'image/jpeg', 'content-encoding': encoding },
          body: compress(cover).subarray(0, 200),
        },
        400,
        'malformed_upload',
        /damaged or ends too early/,
      ),
    ]),
    {
      name: 'a form in gzip is unpacked',
      request: {
        method: 'POST',
        path: search,
        headers: {
          'content-type': 'multipart/form-data; boundary=b',
          'content-encoding': 'gzip',
        },
        body: gzipSync(
          Buffer.concat([
            Buffer.from(
              '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n',
            ),
            cover,
            Buffer.from('\r\n--b--\r\n'),
          ]),
        ),
      },
      status: 200,
      check: firstIs(id),
    },
    refused(
      'another encoding of a body is refused',
      {
        method: 'POST',
        path: search,
        headers: { 'content-type': 'image/jpeg', 'content-encoding': 'zstd' },
        body: cover,
      },
      400,
      'malformed_upload',
      /gzip, deflate or br, but received Content-Encoding: zstd/,
    ),
    {
      name: 'a file part without a file name, as React Native sends it, is a picture',
      request: {
        method: 'POST',
        path: search,
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body: Buffer.concat([
          Buffer.from(
            '--b\r\nContent-Disposition: form-data; name="genre"\r\n\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: image/jpeg\r\n\r\n',
          ),
          cover,
          Buffer.from('\r\n--b--\r\n'),
        ]),
      },
      status: 200,
      check: firstIs(id),
    },
    {
      name: 'a field that is not ASCII is read as UTF-8',
      request: form(search, ['genre', 'Mūsïca'], ['file', cover, 'cover.jpg']),
      status: 200,
      check: (response) => {
        assert.match(String(json(response)['notes']), /No album has the genre "Mūsïca"/);
      },
    },
    refused(
      'a field that is too long is refused, not cut',
      form(search, ['genre', 'x'.repeat(5000)], ['file', cover, 'cover.jpg']),
      400,
      'malformed_upload',
      /the field "genre" has more than 4096 bytes/,
    ),
    {
      name: 'a JPEG without its last two bytes, and with a blank line before it, is read',
      request: upload(Buffer.concat([Buffer.from('\r\n'), cover.subarray(0, -2)]), '?k=1'),
      status: 200,
      check: firstIs(id),
    },
    ...(
      [
        [
          'application/x-www-form-urlencoded',
          /curl's --data-binary .*-H 'Content-Type: image\/jpeg'/,
        ],
        ['multipart/form-data', /without a boundary: let the program/],
        ['application/json', /pictures can't be sent as JSON, not even as base64/],
      ] as const
    ).map(([type, says]) =>
      refused(
        `a picture of type ${type} is refused with what to do`,
        { method: 'POST', path: search, headers: { 'content-type': type }, body: cover },
        400,
        'malformed_upload',
        says,
      ),
    ),
    ...(await Promise.all(
      (['png', 'webp', 'avif', 'tiff', 'gif'] as const).map(async (format) => ({
        name: `the cover as ${format.toUpperCase()} finds its album first`,
        request: upload(await sharp(cover).toFormat(format).toBuffer(), '?k=1', `c.${format}`),
        status: 200,
        check: firstIs(id),
      })),
    )),
    {
      name: 'a HEIC photo, as an iPhone takes it, is searched with',
      request: upload(heicPhoto, '?k=3', 'IMG_0001.HEIC', 'image/heic'),
      status: 200,
      check: (response) => {
        assert.equal(results(response).length, 3);
      },
    },
    {
      name: 'a form with non-ASCII field and file names is read',
      request: form(search, ['genre', genre], ['file', cover, 'pochette déjà vue – 写真.jpg']),
      status: 200,
      check: firstIs(id),
    },
    {
      name: 'a genre filter lets only that genre through',
      request: upload(cover, `?genre=${encodeURIComponent(genre)}&k=50`),
      status: 200,
      check: (response) => {
        const found = results(response);
        assert.ok(found.length > 0);
        for (const result of found) assert.ok(String(result['genre']).split(' / ').includes(genre));
      },
    },
    {
      name: 'years and score narrow a text search, exactly',
      request: get(`${text}&k=50&year_min=1990&year_max=1999&score_min=8.5`),
      status: 200,
      check: (response) => {
        const expected = rows.filter(
          (one) =>
            (one['release_year'] as number) >= 1990 &&
            (one['release_year'] as number) <= 1999 &&
            (one['score'] as number) >= 8.5,
        );
        assert.equal(found(response).total_results, Math.min(50, expected.length));
        const wanted = new Set(expected.map((one) => one['local_id']));
        for (const result of results(response)) assert.ok(wanted.has(result['album_id']));
      },
    },
    {
      name: 'best new music only',
      request: get(`${text}&k=50&best_new_music=true`),
      status: 200,
      check: (response) => {
        const expected = rows.filter((one) => one['best_new_music'] === 1).length;
        assert.equal(found(response).total_results, Math.min(50, expected));
        for (const result of results(response)) assert.equal(result['best_new_music'], true);
      },
    },
    {
      name: 'a filter that nothing passes answers no results',
      request: get(`${text}&year_min=9000`),
      status: 200,
      check: (response) => {
        assert.deepEqual(found(response).results, []);
      },
    },
    {
      name: 'a genre may be repeated',
      request: get(`${text}&k=50&genre=${encodeURIComponent(genre)}&genre=Polka`),
      status: 200,
      check: (response) => {
        assert.ok(found(response).total_results > 0);
      },
    },
    ...[
      get(`${text}&genre=Roc`),
      upload(cover, '?genre=Roc'),
      get(`/api/albums/${String(id)}/similar?genre=Roc`),
    ].map((request): Case => ({
      name: `a genre that no album has is told, with the nearest one: ${request.path}`,
      request,
      status: 200,
      check: (response) => {
        assert.deepEqual(found(response).results, []);
        assert.deepEqual(json(response)['notes'], [
          'No album has the genre "Roc"; the nearest is "Rock".',
        ]);
      },
    })),
    {
      name: 'a genre that there is, in whatever case, is not remarked upon',
      request: get(`${text}&genre=${encodeURIComponent(genre.toUpperCase())}`),
      status: 200,
      check: (response) => {
        assert.ok(found(response).total_results > 0);
        assert.equal(json(response)['notes'], undefined);
      },
    },
    {
      name: 'a text search echoes its query and answers ten',
      request: get('/api/search-by-text?query=%20d%C3%A9j%C3%A0%20vu%20%F0%9F%98%80%20'),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query_type, 'text');
        assert.equal(body.query, 'déjà vu 😀');
        assert.equal(body.total_results, 10);
      },
    },
    refused(
      'a missing query is refused',
      get('/api/search-by-text'),
      400,
      'invalid_parameter',
      /for query but received nothing/,
    ),
    refused(
      'a blank query is refused',
      get('/api/search-by-text?query=%20%20'),
      400,
      'invalid_parameter',
      /for query but received/,
    ),
    refused(
      'k of 0 is refused',
      get(`${text}&k=0`),
      400,
      'invalid_parameter',
      /^Expected an integer from 1 to 50 for k but received "0"\.$/,
    ),
    refused(
      'k of 51 is refused',
      upload(cover, '?k=51'),
      400,
      'invalid_parameter',
      /for k but received "51"/,
    ),
    refused(
      'k in words is refused',
      form(search, ['k', 'ten'], ['file', cover, 'c.jpg']),
      400,
      'invalid_parameter',
      /for k but received "ten"/,
    ),
    refused(
      'k of 2.5 is refused',
      get(`${text}&k=2.5`),
      400,
      'invalid_parameter',
      /received "2\.5"/,
    ),
    {
      name: 'blank parameters, as HTML forms send them, are none',
      request: get(`${text}&k=&year_min=&year_max=%20&score_min=&genre=&best_new_music=&offset=`),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 10);
      },
    },
    {
      name: 'blank fields of a form are none, those of an upload_id among them',
      request: form(
        search,
        ['k', ''],
        ['year_min', ' '],
        ['genre', ''],
        ['upload_id', ''],
        ['file', cover, 'cover.jpg'],
      ),
      status: 200,
      check: firstIs(id),
    },
    refused(
      'a form with a blank upload_id and no file holds no picture',
      form(search, ['upload_id', ' '], ['k', '1']),
      400,
      'missing_file',
      /the form has none/,
    ),
    ...['genre[]', 'genre[0]', 'genre%5B%5D'].map((name): Case => ({
      name: `${name} is the genre`,
      request: get(`${text}&k=50&${name}=${encodeURIComponent(genre)}&${name}=Polka`),
      status: 200,
      check: (response) => {
        const found = results(response);
        assert.ok(found.length > 0);
        for (const one of found) assert.ok(String(one['genre']).split(' / ').includes(genre));
      },
    })),
    {
      name: 'genre[] in a form is the genre',
      request: form(search, ['genre[]', genre], ['k', '50'], ['file', cover, 'cover.jpg']),
      status: 200,
      check: (response) => {
        for (const one of results(response))
          assert.ok(String(one['genre']).split(' / ').includes(genre));
      },
    },
    ...['true', 'True', '1', 'yes', 'on'].map((value): Case => ({
      name: `best_new_music=${value} is true`,
      request: get(`${text}&k=50&best_new_music=${value}`),
      status: 200,
      check: (response) => {
        for (const one of results(response)) assert.equal(one['best_new_music'], true);
      },
    })),
    ...['False', '0', 'NO', 'off'].map((value): Case => ({
      name: `best_new_music=${value} is false`,
      request: get(`${text}&k=50&best_new_music=${value}`),
      status: 200,
      check: (response) => {
        for (const one of results(response)) assert.equal(one['best_new_music'], false);
      },
    })),
    ...(
      [
        ['yearMin=1990', 'year_min'],
        ['year-max=1990', 'year_max'],
        ['min_year=1990', 'year_min'],
        ['top_k=3', 'k'],
        ['limit=3', 'k'],
        ['K=3', 'k'],
        ['genres=Rock', 'genre'],
        ['gnre=Rock', 'genre'],
        ['ofset=3', 'offset'],
        ['bestNewMusic=true', 'best_new_music'],
        ['minScore=8', 'score_min'],
      ] as const
    ).flatMap(([given, meant]) => [
      refused(
        `${given} is told its right name`,
        get(`${text}&${given}`),
        400,
        'invalid_parameter',
        new RegExp(`^Unknown parameter \\S+: did you mean ${meant}\\?$`),
      ),
      refused(
        `${given} beside a picture is told its right name`,
        upload(cover, `?${given}`),
        400,
        'invalid_parameter',
        new RegExp(`did you mean ${meant}\\?$`),
      ),
    ]),
    refused(
      'a misnamed field of a form is told its right name',
      form(search, ['topK', '3'], ['file', cover, 'cover.jpg']),
      400,
      'invalid_parameter',
      /Unknown parameter topK: did you mean k\?/,
    ),
    refused(
      'q is told to be query',
      get('/api/search-by-text?q=red'),
      400,
      'invalid_parameter',
      /did you mean query\?/,
    ),
    refused(
      'limit beside an album is told to be k',
      get(`/api/albums/${String(id)}/similar?limit=3`),
      400,
      'invalid_parameter',
      /did you mean k\?/,
    ),
    refused(
      'width of a thumbnail is told to be size',
      get(`/api/image/${String(id)}?width=160`),
      400,
      'invalid_parameter',
      /did you mean size\?/,
    ),
    {
      name: 'parameters of others, such as analytics, are ignored',
      request: get(`${text}&_=1700000000&utm_source=mail&fbclid=abc&v=2&k=3`),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 3);
      },
    },
    refused(
      'more genres than anybody means are refused',
      get(`${text}${'&genre=Rock'.repeat(101)}`),
      400,
      'invalid_parameter',
      /1 to 100 genres/,
    ),
    refused(
      'k given twice is refused',
      get(`${text}&k=1&k=2`),
      400,
      'invalid_parameter',
      /received "1, 2"/,
    ),
    refused(
      'a year that is none is refused',
      get(`${text}&year_min=soon`),
      400,
      'invalid_parameter',
      /for year_min but received "soon"/,
    ),
    refused(
      'a year_max earlier than year_min is refused',
      get(`${text}&year_min=2000&year_max=1990`),
      400,
      'invalid_parameter',
      /^year_max \(1990\) must not be earlier than year_min \(2000\)\.$/,
    ),
    refused(
      'a score of 11 is refused',
      get(`${text}&score_min=11`),
      400,
      'invalid_parameter',
      /a number from 0 to 10 for score_min/,
    ),
    refused(
      'best_new_music=maybe is refused',
      get(`${text}&best_new_music=maybe`),
      400,
      'invalid_parameter',
      /true or false for best_new_music but received "maybe"/,
    ),
    ...['form-data', 'form-data; filename="a.jpg"'].map((disposition) =>
      refused(
        `a part of ${disposition} without a name is refused, and the next request answered`,
        {
          method: 'POST',
          path: search,
          headers: { 'content-type': 'multipart/form-data; boundary=b' },
          body: Buffer.from(
            `--b\r\nContent-Disposition: ${disposition}\r\n\r\n${'x'.repeat(5000)}\r\n--b--\r\n`,
          ),
        },
        400,
        disposition.includes('filename') ? 'unexpected_field' : 'malformed_upload',
        /./,
      ),
    ),
    refused(
      'a form that begins another part after its end is refused at once',
      {
        method: 'POST',
        path: search,
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body: Buffer.from(
          'x\r\n--b--\r\n--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n3\r\n' +
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nabc',
        ),
      },
      400,
      'malformed_upload',
      /in the middle of a part/,
    ),
    refused(
      'another field name is refused',
      form(search, ['photo', cover, 'c.jpg']),
      400,
      'unexpected_field',
      /in the field "file" but received "photo"/,
    ),
    refused(
      'two files are refused',
      form(search, ['file', cover, 'a.jpg'], ['file', cover, 'b.jpg']),
      400,
      'too_many_files',
      /one picture/,
    ),
    refused(
      'a form without a file is refused',
      form(search, ['k', '3']),
      400,
      'missing_file',
      /the form has none/,
    ),
    refused(
      'a file sent as text is refused',
      form(search, ['file', 'hello']),
      400,
      'missing_file',
      /contains text/,
    ),
    refused('an empty file is refused', upload(Buffer.alloc(0)), 400, 'empty_file', /0 bytes/),
    refused(
      'a request without a body is refused',
      { method: 'POST', path: search },
      400,
      'malformed_upload',
      /multipart\/form-data/,
    ),
    refused(
      'JSON is refused',
      {
        method: 'POST',
        path: search,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{}'),
      },
      400,
      'malformed_upload',
      /but received application\/json/,
    ),
    refused(
      'a form without a boundary is refused',
      {
        method: 'POST',
        path: search,
        headers: { 'content-type': 'multipart/form-data' },
        body: cover,
      },
      400,
      'malformed_upload',
      /multipart\/form-data/,
    ),
    refused(
      'a form cut short is refused',
      cutShort(upload(cover)),
      400,
      'malformed_upload',
      /could not be read/,
    ),
    refused(
      'a text file called .jpg is refused',
      upload(Buffer.from('This is not a picture. '.repeat(50))),
      400,
      'not_an_image',
      /JPEG, PNG, WebP(,| or) AVIF/,
    ),
    refused(
      'an SVG is refused',
      upload(svg, '', 'c.svg', 'image/svg+xml'),
      400,
      'not_an_image',
      /JPEG, PNG, WebP(,| or) AVIF/,
    ),
    refused(
      'noise is refused',
      upload(noise(20_000)),
      400,
      'not_an_image',
      /JPEG, PNG, WebP(,| or) AVIF/,
    ),
    refused(
      'a truncated JPEG is refused',
      upload(cover.subarray(0, cover.length >> 1)),
      400,
      'unreadable_image',
      /./,
    ),
    refused('a damaged PNG is refused', upload(brokenPng), 400, 'unreadable_image', /./),
    refused(
      'a JPEG XL picture is refused with what to send',
      upload(jxl, '', 'c.jxl', 'image/jxl'),
      400,
      'unsupported_image',
      /JPEG, PNG, WebP(,| or) AVIF/,
    ),
    refused(
      'a damaged HEIC photo is refused',
      upload(brokenHeic, '', 'IMG_0001.HEIC', 'image/heic'),
      400,
      'unreadable_image',
      /HEIC picture is damaged/,
    ),
    refused(
      'a JPEG that is the whole picture 1,000 times is refused',
      upload(await manyScans(1000)),
      400,
      'unreadable_image',
      /too many scans/,
    ),
    refused('a 100-megapixel bomb is refused', upload(await bomb()), 400, 'image_too_large', /100/),
    refused(
      'an upload_id is refused where no bucket is set up for uploads',
      { method: 'POST', path: `${search}?upload_id=0f8fad5b-d9cb-469f-a165-70867728950e` },
      404,
      'uploads_disabled',
      /send the picture to POST \/api\/search-by-image/,
    ),
    refused(
      'so is the wish for a form to upload with',
      {
        method: 'POST',
        path: '/api/uploads',
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{"content_type":"image/png"}'),
      },
      404,
      'uploads_disabled',
      /send the picture to POST/,
    ),
    refused(
      'GET of the uploads is refused',
      get('/api/uploads'),
      405,
      'method_not_allowed',
      /^Expected POST for/,
    ),
    {
      name: 'after all that, the next search is answered',
      request: upload(cover, '?k=1'),
      status: 200,
      check: firstIs(id),
    },
    {
      name: 'a cover is sent as it is on disk, to be kept for a day',
      request: get(`/api/image/${String(id)}`),
      status: 200,
      check: (response) => {
        assert.equal(response.headers['content-type'], 'image/jpeg');
        assert.equal(response.headers['cache-control'], 'public, max-age=86400');
        assert.ok(response.headers['etag']);
        assert.deepEqual(response.body, cover);
      },
    },
    {
      name: 'HEAD of a cover has its length and no body',
      request: { method: 'HEAD', path: `/api/image/${String(id)}` },
      status: 200,
      check: (response) => {
        assert.equal(response.headers['content-length'], String(cover.length));
        assert.equal(response.body.length, 0);
      },
    },
    {
      name: 'a range of a cover is sent alone',
      request: get(`/api/image/${String(id)}`, { range: 'bytes=10-19' }),
      status: 206,
      check: (response) => {
        assert.deepEqual(response.body, cover.subarray(10, 20));
        assert.equal(response.headers['content-range'], `bytes 10-19/${String(cover.length)}`);
      },
    },
    {
      name: 'a range beyond the cover is refused',
      request: get(`/api/image/${String(id)}`, { range: 'bytes=99999999-' }),
      status: 416,
      code: 'range_not_satisfiable',
      detail: /beyond/,
      check: (response) => {
        assert.equal(response.headers['content-range'], `bytes */${String(cover.length)}`);
      },
    },
    refused(
      'a cover of another version than If-Match asks for is refused',
      get(`/api/image/${String(id)}`, { 'if-match': '"another"' }),
      412,
      'precondition_failed',
      /If-Match/,
    ),
    refused(
      'a cover that has changed since If-Unmodified-Since is refused',
      get(`/api/image/${String(id)}`, { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }),
      412,
      'precondition_failed',
      /If-Unmodified-Since/,
    ),
    {
      name: 'a range of another version than If-Range names is the whole cover',
      request: get(`/api/image/${String(id)}`, { range: 'bytes=10-19', 'if-range': '"another"' }),
      status: 200,
      check: (response) => {
        assert.deepEqual(response.body, cover);
      },
    },
    refused(
      'a cover of no album is not found',
      get(`/api/image/${String(absentId)}`),
      404,
      'album_not_found',
      new RegExp(`id ${String(absentId)}`),
    ),
    refused(
      'a cover id in words is refused',
      get('/api/image/abc'),
      400,
      'invalid_parameter',
      /album_id but received "abc"/,
    ),
    refused(
      'a negative cover id is refused',
      get('/api/image/-1'),
      400,
      'invalid_parameter',
      /album_id but received "-1"/,
    ),
    refused(
      'a cover id with a fraction is refused',
      get('/api/image/1%2e5'),
      400,
      'invalid_parameter',
      /album_id but received "1\.5"/,
    ),
    {
      name: 'an album is told in full',
      request: get(`/api/albums/${String(id)}`),
      status: 200,
      check: (response) => {
        const { identifiable, ...album } = json(response);
        assert.ok([true, null].includes(identifiable as boolean | null)); // null: a function may not have checked yet
        assert.deepEqual(album, {
          album_id: id,
          artist: row['artist'],
          album_name: row['album_name'],
          genre: row['genre'],
          label: row['label'],
          release_year: row['release_year'],
          pitchfork_score: row['score'],
          best_new_music: row['best_new_music'] === 1,
          reviewer: row['reviewer_name'],
          image_url: `/api/image/${String(id)}`,
          cover_url_original: null,
        });
      },
    },
    refused(
      'an album that does not exist is not found',
      get(`/api/albums/${String(absentId)}`),
      404,
      'album_not_found',
      new RegExp(`id ${String(absentId)}`),
    ),
    {
      name: 'albums like one are found, itself left out',
      request: get(`/api/albums/${String(id)}/similar?k=20`),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query_type, 'similar');
        assert.equal(body.total_results, 20);
        assert.deepEqual(Object.keys(body.results[0] ?? {}), resultKeys);
        assert.ok(body.results.every((result) => result['album_id'] !== id));
      },
    },
    {
      name: 'filters narrow the albums like one',
      request: get(`/api/albums/${String(id)}/similar?k=50&best_new_music=true`),
      status: 200,
      check: (response) => {
        const expected = rows.filter(
          (one) => one['best_new_music'] === 1 && one['local_id'] !== id,
        ).length;
        assert.equal(found(response).total_results, Math.min(50, expected));
      },
    },
    refused(
      'albums like one that does not exist are not found',
      get(`/api/albums/${String(absentId)}/similar`),
      404,
      'album_not_found',
      new RegExp(`id ${String(absentId)}`),
    ),
    refused(
      'POST to an album is refused',
      { method: 'POST', path: `/api/albums/${String(id)}` },
      405,
      'method_not_allowed',
      /GET or HEAD/,
    ),
    {
      name: 'albums are listed by name, the one of that artist and title first',
      request: get(`/api/albums?query=${encodeURIComponent(fullName.toUpperCase())}&limit=3`),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query_type, 'name');
        assert.equal(body.query, fullName.toUpperCase());
        assert.ok(body.total_results <= 3);
        const [first = {}] = body.results;
        assert.deepEqual(Object.keys(first), resultKeys);
        assert.equal(first['album_id'], id);
        assert.equal(first['similarity_score'], null);
      },
    },
    {
      name: 'filters narrow the albums listed by name',
      request: get(`/api/albums?query=the&limit=50&best_new_music=true`),
      status: 200,
      check: (response) => {
        const { results: albums } = found(response);
        assert.ok(albums.length > 0);
        assert.ok(albums.every((album) => album['best_new_music'] === true));
      },
    },
    {
      name: 'an offset skips the first albums listed by name',
      request: get('/api/albums?query=the&limit=1&offset=1'),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 1);
      },
    },
    {
      name: 'a name that no album has lists none',
      request: get('/api/albums?query=xqzvwk'),
      status: 200,
      check: (response) => {
        assert.deepEqual(results(response), []);
      },
    },
    refused(
      'a list by a blank name is refused',
      get('/api/albums?query=%20'),
      400,
      'invalid_parameter',
      /1 to 1000 characters of text for query/,
    ),
    refused('a list by no name is refused', get('/api/albums'), 400, 'invalid_parameter', /query/),
    refused(
      'k for a list by name is told to be limit',
      get('/api/albums?query=the&k=3'),
      400,
      'invalid_parameter',
      /did you mean limit\?/,
    ),
    {
      name: 'names are suggested while they are typed',
      request: get(`/api/suggest?query=${encodeURIComponent(artist.slice(0, -2))}`),
      status: 200,
      check: (response) => {
        const { query, suggestions } = json<{
          query: string;
          suggestions: Record<string, unknown>[];
        }>(response);
        assert.equal(query, artist.slice(0, -2));
        assert.ok(suggestions.length <= 8);
        assert.ok(suggestions.some((album) => album['artist'] === artist));
        assert.deepEqual(suggestions.slice(0, 1).flatMap(Object.keys), [
          'album_id',
          'artist',
          'album_name',
          'release_year',
          'image_url',
        ]);
      },
    },
    refused(
      'suggestions for no text are refused',
      get('/api/suggest'),
      400,
      'invalid_parameter',
      /query/,
    ),
    refused(
      'POST to the suggestions is refused',
      { method: 'POST', path: '/api/suggest' },
      405,
      'method_not_allowed',
      /GET or HEAD/,
    ),
    {
      name: 'a text search by name says what matched',
      request: get(`/api/search-by-text?query=${encodeURIComponent(fullName)}&by=name`),
      status: 200,
      check: (response) => {
        const { query_type, results: albums } = found(response);
        assert.equal(query_type, 'text');
        assert.equal(albums[0]?.['album_id'], id);
        assert.deepEqual(Object.keys(albums[0]), [...resultKeys, 'matched']);
        assert.ok(albums.every((album) => String(album['matched']) === 'name'));
        assert.ok(albums.every((album) => album['similarity_score'] === null));
      },
    },
    {
      name: 'a text search by name and cover fuses both lists',
      request: get(`/api/search-by-text?query=${encodeURIComponent(fullName)}&by=both&k=50`),
      status: 200,
      check: (response) => {
        const { results: albums } = found(response);
        assert.equal(albums.length, 50);
        const matched = albums.map((album) => String(album['matched']));
        const named = albums.find((album) => album['album_id'] === id);
        assert.match(String(named?.['matched']), /^name(,cover)?$/);
        assert.ok(matched.includes('cover'), matched.join(' '));
        assert.ok(albums.every((album) => typeof album['similarity_score'] === 'number'));
        assert.equal(new Set(albums.map((album) => album['album_id'])).size, 50);
      },
    },
    refused(
      'a text search by something else is refused',
      get(`${text}&by=smell`),
      400,
      'invalid_parameter',
      /one of cover, name, both for by but received "smell"/,
    ),
    {
      name: 'a name of 1,000 characters is searched, and takes no longer than others',
      request: get(`/api/albums?query=${'a.b.c.'.repeat(166)}`),
      status: 200,
    },
    {
      name: 'every word of a name must occur if asked for',
      request: get(`/api/albums?query=${encodeURIComponent(`${fullName} xqzvwk`)}&every_word=true`),
      status: 200,
      check: (response) => {
        assert.deepEqual(results(response), []);
      },
    },
    {
      name: 'height, which others send, is not taken for weight',
      request: get(`/api/albums/${String(id)}/similar?height=100&k=1`),
      status: 200,
    },
    {
      name: 'words that a picture should not show are taken from the form',
      request: form(
        '/api/search-by-image',
        ['not', 'red'],
        ['weight', '0.2'],
        ['k', '3'],
        ['file', cover, 'cover.jpg', 'image/jpeg'],
      ),
      status: 200,
      check: (response) => {
        const body = json(response);
        assert.equal(body['not'], 'red');
        assert.equal(body['weight'], 0.2);
        assert.equal(body['total_results'], 3);
      },
    },
    {
      name: 'words of no weight leave the albums like one as they are',
      request: get(`/api/albums/${String(id)}/similar?k=20&query=blue&weight=0`),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query, 'blue');
        assert.equal(body.query_type, 'similar');
        assert.equal(body.total_results, 20);
      },
    },
    {
      name: 'albums like one can be searched with words, and without others',
      request: get(`/api/albums/${String(id)}/similar?k=20&query=blue&not=red&weight=0.7`),
      status: 200,
      check: (response) => {
        const { results: albums } = found(response);
        const scores = albums.map((album) => album['similarity_score'] as number);
        assert.deepEqual(
          scores,
          [...scores].sort((a, b) => b - a),
        );
        assert.ok(albums.every((album) => album['album_id'] !== id));
      },
    },
    {
      name: 'a picture can be searched with words',
      request: upload(cover, '?query=a+red+circle&k=5'),
      status: 200,
      check: (response) => {
        const body = found(response);
        assert.equal(body.query_type, 'image');
        assert.equal(body.query, 'a red circle');
        assert.equal(body.total_results, 5);
      },
    },
    ...['-0.1', '1.1', 'much'].map((weight) =>
      refused(
        `a weight of ${weight} is refused`,
        get(`/api/albums/${String(id)}/similar?query=blue&weight=${weight}`),
        400,
        'invalid_parameter',
        /a number from 0 to 1 for weight/,
      ),
    ),
    refused(
      'a weight without words is refused',
      get(`/api/albums/${String(id)}/similar?weight=0.5`),
      400,
      'invalid_parameter',
      /weight needs query or not/,
    ),
    {
      name: 'an offset goes on where the page before ended',
      request: get(`${text}&k=3&offset=2`),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 3);
      },
    },
    {
      name: 'the last page ends with the 200th album',
      request: get(`${text}&k=50&offset=190`),
      status: 200,
      check: (response) => {
        assert.equal(found(response).total_results, 10);
      },
    },
    refused(
      'an offset of 200 is refused',
      get(`${text}&offset=200`),
      400,
      'invalid_parameter',
      /an integer from 0 to 199 for offset but received "200"/,
    ),
    ...(
      [
        ['image/avif,image/webp,image/*;q=0.8', 'webp'],
        ['image/avif,image/*', 'avif'],
        ['image/*,*/*;q=0.8', 'jpeg'],
      ] as const
    ).map(([accept, format]): Case => ({
      name: `a thumbnail is ${format} for a browser that accepts ${accept}`,
      request: get(`/api/image/${String(id)}?size=160`, { accept }),
      status: 200,
      check: (response) => {
        assert.equal(response.headers['content-type'], `image/${format}`);
        assert.equal(response.headers['cache-control'], 'public, max-age=86400');
        assert.match(response.headers['vary'] ?? '', /Accept/);
        assert.match(response.headers['etag'] ?? '', new RegExp(`^"[\\w-]+-160-${format}"$`));
        assert.ok(response.body.length > 500 && response.body.length < cover.length / 2);
      },
    })),
    refused(
      'a size that is not offered is refused',
      get(`/api/image/${String(id)}?size=161`),
      400,
      'invalid_parameter',
      /one of 160, 320, 640 for size but received "161"/,
    ),
    refused(
      'a thumbnail of no album is not found',
      get(`/api/image/${String(absentId)}?size=160`),
      404,
      'album_not_found',
      new RegExp(`id ${String(absentId)}`),
    ),
    {
      name: 'stats are about the whole catalog',
      request: get('/api/stats'),
      status: 200,
      check: (response) => {
        const body = json(response);
        const years = rows.flatMap((one) => (one['release_year'] as number | null) ?? []);
        assert.equal(body['total_albums'], total);
        assert.equal(body['first_year'], Math.min(...years));
        assert.equal(body['last_year'], Math.max(...years));
        assert.equal(
          body['best_new_music'],
          rows.filter((one) => one['best_new_music'] === 1).length,
        );
        assert.ok((body['top_genres'] as unknown[]).length <= 10);
        assert.ok((body['mean_pitchfork_score'] as number) > 0);
      },
    },
    {
      name: 'genres are listed with their counts',
      request: get('/api/genres'),
      status: 200,
      check: (response) => {
        const { genres } = json<{ genres: { genre: string; albums: number }[] }>(response);
        const entry = genres.find((one) => one.genre === genre);
        const expected = rows.filter((one) => String(one['genre']).split(' / ').includes(genre));
        assert.equal(entry?.albums, expected.length);
      },
    },
    {
      name: 'the year range is that of the catalog',
      request: get('/api/year-range'),
      status: 200,
      check: (response) => {
        const { year_min, year_max } = json<{ year_min: number; year_max: number }>(response);
        assert.ok(year_min < year_max);
      },
    },
    {
      name: 'the OpenAPI document is 3.1',
      request: get('/openapi.json'),
      status: 200,
      check: (response) => {
        assert.equal(json(response)['openapi'], '3.1.0');
      },
    },
    {
      name: 'the documentation is a page that loads nothing from elsewhere',
      request: get('/docs'),
      status: 200,
      check: (response) => {
        assert.match(response.headers['content-type'] ?? '', /^text\/html/);
        assert.match(response.headers['content-security-policy'] ?? '', /default-src 'none'/);
        assert.doesNotMatch(response.body.toString(), /https?:/);
      },
    },
    {
      name: "the documentation's script is served",
      request: get('/docs/swagger-ui-bundle.js'),
      status: 200,
      check: (response) => {
        assert.match(response.headers['content-type'] ?? '', /^text\/javascript/);
        assert.ok(response.body.length > 100_000);
      },
    },
    refused(
      'an unknown path is not found',
      get('/nothing/here'),
      404,
      'route_not_found',
      /GET \/ lists/,
    ),
    refused(
      'GET of the picture search is refused',
      get(search),
      405,
      'method_not_allowed',
      /^Expected POST for/,
    ),
    refused(
      'POST of the text search is refused',
      { method: 'POST', path: '/api/search-by-text?query=x', body: Buffer.from('x') },
      405,
      'method_not_allowed',
      /GET/,
    ),
    refused(
      'DELETE of a cover is refused',
      { method: 'DELETE', path: `/api/image/${String(id)}` },
      405,
      'method_not_allowed',
      /GET or HEAD/,
    ),
    {
      name: 'a browser of another origin may ask',
      request: get('/api/stats', { origin: 'https://elsewhere.example' }),
      status: 200,
      check: (response) => {
        assert.equal(response.headers['access-control-allow-origin'], '*');
      },
    },
    {
      name: 'a preflight is answered',
      request: {
        method: 'OPTIONS',
        path: search,
        headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'POST' },
      },
      status: 204,
      check: (response) => {
        assert.match(response.headers['access-control-allow-methods'] ?? '', /POST/);
      },
    },
  ];
}

const cutShort = (request: TestRequest): TestRequest => ({
  ...request,
  ...(request.body && { body: request.body.subarray(0, request.body.length - 200) }),
});
