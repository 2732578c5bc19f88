import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';

const run = promisify(execFile);

/** Why tests that need a real S3 server are skipped, or `false` if Ceph is installed. */
export const s3Skip: string | false = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-mgr'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
)
  ? false
  : 'Ceph is not installed (Debian: radosgw ceph-mon ceph-osd ceph-mgr), so there is no S3 server to test against';

export interface S3Server {
  /** `host:port` on loopback. */
  host: string;
  /** Environment variables for a client process. @param endpoint default: the server itself; may be a proxy */
  env: (endpoint?: string) => Record<string, string>;
  /** A client with all permissions. */
  client: () => S3Client;
  stop: () => void;
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        resolve(port);
      });
    });
  });

const accessKey = 'testkey';
const secretKey = 'testsecret';

/**
 * Starts Ceph's S3 gateway on loopback, with one in-memory object store: about 12 s, 450 MB. It checks
 * signatures, policies of presigned forms, conditions and ranges.
 */
export async function startS3Server(): Promise<S3Server> {
  const dir = mkdtempSync(join(tmpdir(), 'ceph-'));
  for (const part of ['mon', 'mgr', 'osd', 'rgw', 'log', 'run']) mkdirSync(join(dir, part));
  const [port, mon, monV1] = [await freePort(), await freePort(), await freePort()];
  const fsid = randomUUID();
  const conf = join(dir, 'ceph.conf');
  writeFileSync(conf, configuration(dir, { port, mon, monV1, fsid }));
  const stop = () => {
    for (const name of readdirSync(join(dir, 'run')))
      if (name.endsWith('.pid'))
        try {
          process.kill(Number(readFileSync(join(dir, 'run', name), 'utf8')), 'SIGKILL');
        } catch {
          // already ended
        }
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const ceph = (program: string, ...args: string[]) =>
      run(program, [...args, '-c', conf], { timeout: 600_000 });
    const map = join(dir, 'monmap');
    const addresses = `[v2:127.0.0.1:${String(mon)},v1:127.0.0.1:${String(monV1)}]`;
    await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', addresses, map]);
    await ceph('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map);
    await ceph('ceph-mon', '-i', 'a');
    await ceph('ceph-mgr', '-i', 'x');
    const osd = randomUUID();
    const { stdout: id } = await ceph('ceph', 'osd', 'new', osd);
    await ceph('ceph-osd', '-i', id.trim(), '--mkfs', '--osd-uuid', osd);
    await ceph('ceph-osd', '-i', id.trim());
    await ceph(
      'ceph',
      'osd',
      'crush',
      'add',
      `osd.${id.trim()}`,
      '1',
      'root=default',
      'host=local',
    );
    await ceph('radosgw', '-n', 'client.rgw');
    const host = `127.0.0.1:${String(port)}`;
    await answers(`http://${host}/`);
    const keys = ['--access-key', accessKey, '--secret-key', secretKey];
    const user = ['user', 'create', '--uid=test', '--display-name=test', ...keys];
    await ceph('radosgw-admin', '-n', 'client.rgw', ...user);
    const env = (endpoint = `http://${host}`) => ({
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_REGION: 'us-east-1',
    });
    const client = () =>
      new S3Client({
        endpoint: `http://${host}`,
        region: 'us-east-1',
        forcePathStyle: true,
        requestChecksumCalculation: 'WHEN_REQUIRED',
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
    return { host, env, client, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

async function answers(url: string): Promise<void> {
  for (let i = 0; i < 2400; i += 1) {
    if (await fetch(url).catch(() => undefined)) return;
    await sleep(250);
  }
  throw new Error(`nothing answers at ${url}`);
}

const configuration = (
  dir: string,
  { port, mon, monV1, fsid }: { port: number; mon: number; monV1: number; fsid: string },
): string => `
[global]
fsid = ${fsid}
mon host = [v2:127.0.0.1:${String(mon)},v1:127.0.0.1:${String(monV1)}]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
osd crush update on start = false
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
osd objectstore = memstore
memstore device bytes = 1073741824
log file = ${dir}/log/$name.log
admin socket = ${dir}/run/$name.asok
pid file = ${dir}/run/$name.pid
run dir = ${dir}/run
osd data = ${dir}/osd
mon data = ${dir}/mon
mgr data = ${dir}/mgr
mgr modules =
mgr initial modules =
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${String(port)}
rgw data = ${dir}/rgw
rgw dns name = 127.0.0.1
rgw crypt require ssl = false
ms mon client mode = crc
`;
