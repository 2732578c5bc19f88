import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CreateBucketCommand, DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { LanceCorpus } from '../lib/lance/lance-corpus.ts';
import { lanceLocation } from '../lib/lance/lance-location.ts';
import { LanceSource } from '../lib/lance/lance-source.ts';
import { createLogger } from '../lib/log.ts';
import { addSet, removeFromTable } from '../pipeline/lance/change-table.ts';
import { importSet } from '../pipeline/lance/import-set.ts';
import { verifyTable } from '../pipeline/lance/verify-table.ts';
import { eventsOf, lanceSkip, madeUpAlbum, madeUpVector, writeMadeUpSet } from './support/lance.ts';
import { s3Skip, startS3Server, type S3Server } from './support/s3-server.ts';

const dimension = 16;
const rowsTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i);

describe('a LanceDB table in S3', { skip: lanceSkip || s3Skip }, () => {
  let dir: string;
  let server: S3Server;
  const locationAt = (name: string, host = server.host) =>
    lanceLocation(`lance+s3://albums/${name}`, { endpoint: `http://${host}`, pathStyle: true });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lance-s3-'));
    server = await startS3Server();
    Object.assign(process.env, server.env());
    delete process.env['AWS_ENDPOINT_URL_S3']; // it would take precedence
    await server.client().send(new CreateBucketCommand({ Bucket: 'albums' }));
    await writeMadeUpSet(dir, rowsTo(300), dimension);
  });
  after(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  test('is imported, searched, changed and verified', async () => {
    const location = locationAt('one');
    await eventsOf(importSet({ dir, location, block: 100 }));
    const source = new LanceSource(location, createLogger('silent'), { reloadSeconds: 0 });
    const row = 123;
    const [nearest] = await source.corpus.nearest(madeUpVector(row, dimension), {
      ...{ k: 1, filter: { yearMin: 1960 } },
    });
    assert.deepEqual(nearest?.album, madeUpAlbum(row));
    assert.ok(Math.abs(nearest.similarity - 1) < 1e-5);

    const more = await mkdtemp(join(dir, 'more-'));
    await writeMadeUpSet(more, rowsTo(310, 300), dimension);
    for await (const event of addSet(more, location)) {
      await source.reload();
      assert.equal(await source.corpus.size(), event.type === 'served' ? 310 : 300, event.type);
    }
    await eventsOf(removeFromTable(location, [madeUpAlbum(305).id]));
    await source.reload();
    assert.equal(await source.corpus.album(madeUpAlbum(305).id), undefined);
    assert.deepEqual(await source.corpus.album(madeUpAlbum(306).id), madeUpAlbum(306));
    const found = await source.corpus.byName('306', { k: 1, filter: {} });
    assert.deepEqual(found, [madeUpAlbum(306)]);
    for (const event of await eventsOf(verifyTable(location)))
      if (event.type === 'finding') assert.equal(event.level, 'ok', event.message);
  });

  test('is missing, or a file of it is', async () => {
    await assert.rejects(new LanceCorpus(locationAt('none')).size(), { code: 'assets_missing' });
    const location = locationAt('damaged');
    await eventsOf(importSet({ dir, location }));
    const corpus = new LanceCorpus(location);
    assert.equal(await corpus.size(), 300);
    const bucket = { Bucket: 'albums' };
    const { Contents = [] } = await server
      .client()
      .send(new ListObjectsV2Command({ ...bucket, Prefix: 'damaged/albums.lance/data/' }));
    for (const { Key } of Contents)
      await server.client().send(new DeleteObjectCommand({ ...bucket, Key }));
    await assert.rejects(
      new LanceCorpus(location).nearest(madeUpVector(0, dimension), { k: 1, filter: {} }),
      { code: 'index_unreadable', message: /a file of it is missing or damaged/ },
    );
  });

  test('refuses wrong keys and an address where nothing answers', async () => {
    const location = locationAt('one');
    const options = { ...location.storageOptions, aws_secret_access_key: 'wrong' };
    await assert.rejects(new LanceCorpus({ ...location, storageOptions: options }).size(), {
      code: 'storage_unavailable',
    });
    await assert.rejects(new LanceCorpus(locationAt('one', '127.0.0.1:9')).size(), {
      code: 'storage_unavailable',
    });
  });

  // The last one: it stops the server.
  test('answers storage_unavailable while the store is down, and what it knows', async () => {
    const source = new LanceSource(locationAt('one'), createLogger('silent'), { reloadSeconds: 0 });
    assert.equal(await source.corpus.size(), 309);
    server.stop();
    await assert.rejects(source.reload(), { code: 'storage_unavailable' });
    assert.equal(await source.corpus.size(), 309);
    await assert.rejects(source.corpus.nearest(madeUpVector(0, dimension), { k: 5, filter: {} }), {
      code: 'storage_unavailable',
    });
    const interrupted = eventsOf(removeFromTable(locationAt('one'), [1]));
    await assert.rejects(interrupted, { code: 'storage_unavailable' });
  });
});
