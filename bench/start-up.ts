/**
 * Time from process start to the first successful image search, and resident memory after some searches (Linux).
 *
 *     MODELS_DIR=… IMAGES_DIR=… CLIP_DTYPE=q8 npx tsx bench/start-up.ts [--n 5] [--vs [LABEL=]DIR …]
 *         [--vs-peer HOME] [--peer-serve SCRIPT]
 *
 * Each round starts a new process of the built server, with the current environment, and likewise of the other
 * checkouts and the Python prototype, in alternating order.
 */
import { parseArgs } from 'node:util';
import { machine, median, root } from './machine.ts';
import { photograph } from './pictures.ts';
import { residentMb } from './process.ts';
import { searchByPicture, withComment } from './queries.ts';
import { checkout, defaultPeerScript, labelled, peer, Server, type Contender } from './server.ts';

const { values } = parseArgs({
  options: {
    n: { type: 'string', default: '5' },
    vs: { type: 'string', multiple: true, default: [] },
    'vs-peer': { type: 'string' },
    'peer-serve': { type: 'string', default: defaultPeerScript(root) },
  },
});
process.once('SIGINT', () => process.exit(130)); // an exit handler kills the running server
const picture = await photograph(640, 640);
const large = await photograph(4032, 3024);

async function measure(contender: Contender) {
  const start = performance.now();
  const server = await Server.start(contender);
  await server.firstAnswer(picture);
  const firstAnswer = performance.now() - start;
  for (let i = 0; i < 20; i += 1) {
    // different bytes each time, since embeddings of recent pictures are cached
    await searchByPicture(server.base, withComment(i % 4 === 0 ? large : picture, String(i)));
    await (await fetch(`${server.base}/api/search-by-text?query=star+${String(i)}`)).arrayBuffer();
  }
  const resident = residentMb(server.pid);
  await server.stop();
  return { firstAnswer, resident };
}

const quiet = { LOG_LEVEL: 'warn' };
const contenders = [
  checkout('this', root, quiet),
  ...values.vs.map((value) => checkout(...labelled(value), quiet)),
  ...(values['vs-peer'] === undefined ? [] : [peer(values['vs-peer'], values['peer-serve'])]),
].map((contender) => ({ contender, firstAnswer: [] as number[], resident: [] as number[] }));
for (let round = 0; round < Number(values.n); round += 1)
  for (let i = 0; i < contenders.length; i += 1) {
    const taken = contenders[(round + i) % contenders.length];
    if (taken === undefined) continue;
    const { firstAnswer, resident } = await measure(taken.contender);
    taken.firstAnswer.push(firstAnswer);
    taken.resident.push(resident);
  }

console.log(machine());
const list = (figures: number[]) => figures.map((one) => one.toFixed(0)).join(' ');
const [ours] = contenders;
for (const { contender, firstAnswer, resident } of contenders) {
  /** The ratio to this checkout's median, as text. */
  const ratio = (theirs: number[], own: number[] = []) =>
    contender === ours?.contender
      ? ''
      : `, ${(median(theirs) / median(own)).toFixed(2)} times this one's`;
  console.log(
    `${contender.label}: first image search answered after ${median(firstAnswer).toFixed(0)} ms (${list(firstAnswer)})${ratio(firstAnswer, ours?.firstAnswer)}`,
  );
  console.log(
    `${contender.label}: resident after 20 image and 20 text searches: ${median(resident).toFixed(0)} MB (${list(resident)})${ratio(resident, ours?.resident)}`,
  );
}
