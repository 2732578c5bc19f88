import { join, posix } from 'node:path';
import { externalDataOf } from '../clip/external-data.ts';
import { towerFiles } from '../clip/model-files.ts';
import { lazy } from '../concurrency/lazy.ts';
import {
  clipName,
  compactName,
  featuresName,
  indexName,
  manifestName,
  metadataName,
  type Assets,
} from './assets.ts';
import { coverName, type CoverRequest, type CoverStream, type RemoteCovers } from './covers.ts';
import { revalidateCopy } from './download.ts';
import { readWhole, retryRead } from './read-whole.ts';
import { isOtherVersion, S3Folder, type Conditions, type ObjectStream } from './s3.ts';

/**
 * The user's files in S3, under `models/` and `images/`. Index, metadata and model are copied to the cache when they
 * are requested; covers are passed through.
 */
export function remoteAssets(options: {
  /** `s3://bucket/prefix` */
  uri: string;
  cacheDir: string;
  pathStyle: boolean;
  /** Called for each requested file: either fetched, or found up to date in the cache. */
  onFetch: (event: { uri: string; fetched: boolean; ms: number }) => void;
}): Assets {
  const { uri, cacheDir, pathStyle, onFetch } = options;
  const root = S3Folder.open(uri, { pathStyle });
  const models = root.folder('models');
  const copyDir = join(cacheDir, models.uri('').replace('s3://', ''));

  const fetch = async (name: string) => {
    const start = performance.now();
    const path = join(copyDir, name);
    const fetched = await revalidateCopy(models, name, path);
    onFetch({ uri: models.uri(name), fetched, ms: Math.round(performance.now() - start) });
    return path;
  };
  const fetchIfThere = async (name: string) => ((await models.info(name)) ? fetch(name) : null);
  // Both towers need `config.json`: concurrent requests for a file share one fetch.
  const once = new Map<string, () => Promise<string>>();
  const copy = (name: string) => {
    const get = once.get(name) ?? lazy(() => fetch(name));
    once.set(name, get);
    return get();
  };
  const modelNames = lazy(async () => {
    const names: string[] = [];
    for await (const { name } of models.folder(clipName).all()) names.push(name);
    return names;
  });

  return {
    origin: 'user',
    place: root.uri(''),
    manifest: () => fetchIfThere(manifestName),
    version: async () => (await models.info(manifestName))?.etag ?? '',
    index: () => fetch(indexName),
    metadata: () => fetch(metadataName),
    compactMetadata: () => fetchIfThere(compactName),
    features: () => fetchIfThere(featuresName),
    clip: async (tower, dtype) => {
      const names = towerFiles(await modelNames(), tower, dtype);
      await Promise.all(names.map((name) => copy(`${clipName}/${name}`)));
      for (const graph of names.filter((name) => name.endsWith('.onnx')))
        for (const name of await externalDataOf(join(copyDir, clipName, graph)))
          await copy(`${clipName}/${posix.join(posix.dirname(graph), name)}`);
      return join(copyDir, clipName);
    },
    covers: remoteCovers(root.folder('images')),
  };
}

/** Largest cover, in bytes, that is read completely (with retries if it breaks off) before it is passed on. */
const wholeBytes = 4 * 2 ** 20;

const remoteCovers = (images: S3Folder): RemoteCovers => ({
  kind: 'remote',
  open: (albumId, request) =>
    retryRead(images.uri(coverName(albumId)), () => openCover(images, albumId, request)),
  signedUrl: (albumId, seconds) => images.signedUrl(coverName(albumId), seconds),
});

/** S3 does not support `If-Range`: requests the range conditionally, and the whole cover if the condition fails. */
async function askForRange<T>(
  ask: (conditions: Conditions) => Promise<T>,
  { range, ifRange }: Pick<CoverRequest, 'range' | 'ifRange'>,
): Promise<T> {
  if (range === undefined || ifRange === undefined) return ask({ range });
  if (ifRange.startsWith('W/')) return ask({}); // a weak ETag does not guarantee identical bytes
  try {
    const same = ifRange.startsWith('"') ? { ifMatch: ifRange } : { ifUnmodifiedSince: ifRange };
    return await ask({ range, ...same });
  } catch (error) {
    if (isOtherVersion(error)) return ask({});
    throw error;
  }
}

async function openCover(
  images: S3Folder,
  albumId: number,
  { head, ifRange, range, ...conditions }: CoverRequest,
): Promise<CoverStream | 'not_modified' | null> {
  const name = coverName(albumId);
  const ask = (more: Conditions): Promise<Partial<ObjectStream> | 'not_modified' | null> => {
    const all = { ...conditions, ...more };
    return head ? images.headers(name, all) : images.open(name, all);
  };
  const found = await askForRange(ask, { range, ifRange });
  if (found === null || found === 'not_modified') return found;
  const { Body: body, ContentLength: length = 0 } = found;
  return {
    status: found.ContentRange === undefined ? 200 : 206,
    length,
    etag: found.ETag,
    lastModified: found.LastModified,
    contentRange: found.ContentRange,
    body: body && length <= wholeBytes ? await readWhole(body, length) : body,
  };
}
